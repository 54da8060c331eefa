"""What Python code calls: the functions behind the command line, for networks and tensors in memory."""

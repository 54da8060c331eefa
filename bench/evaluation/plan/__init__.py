"""What is to be done: a request settled against a protocol."""

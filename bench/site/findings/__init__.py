"""What the entries of all boards say together."""

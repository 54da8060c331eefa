"""One regime a file; importing a file registers it."""

"""One check a file; a module here is found and registered by itself."""

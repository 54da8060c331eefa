"""One format of data of one's own a file; a module here is found and registered by itself."""

"""One file per family of networks; each registers its members."""

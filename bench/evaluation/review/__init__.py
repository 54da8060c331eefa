"""What a maintainer does with somebody else's entry: fetch it, recompute it, attack it again, say where it differs."""

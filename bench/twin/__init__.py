"""Twins of networks: the same function, computed faster on a processor, to search with and never to judge by."""

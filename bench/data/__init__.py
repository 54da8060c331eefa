"""Data sets, delivered as exact pixels with labels, ids and a digest."""

"""Pruning: recipes propose masks or plans; only the harness applies and measures them."""

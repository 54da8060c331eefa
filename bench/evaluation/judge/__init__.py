"""What counts: fresh forward passes and distances decide, and the nearest witness of each point is kept."""

"""What `bench protocol new` writes besides names and paths."""

"""What is written: measurements as the records of a submission, and as tables."""

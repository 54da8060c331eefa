"""The seam between measuring and publishing: files that one half writes and the other reads, without torch."""

"""Reliability checks: each looks at one result for one reason to doubt it, and leaves a record."""

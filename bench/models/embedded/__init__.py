"""Weights of the networks that ship with the benchmark; ``models.toml`` says how they were trained."""

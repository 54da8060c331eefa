"""Evaluation: the one place that knows models, data, recipes, attacks and rules together."""

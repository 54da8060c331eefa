"""A benchmark for the adversarial robustness of pruned image classifiers."""

__version__ = "0.1.0"

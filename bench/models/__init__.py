"""Models: from a reference such as ``embedded:NAME`` to a classifier whose every weight is accounted for."""

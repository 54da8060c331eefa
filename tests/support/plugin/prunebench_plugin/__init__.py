"""A package of somebody else's that brings one component of each kind."""

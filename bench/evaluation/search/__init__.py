"""Attacks at work: metered, round by round on the points that stand, journalled."""

"""Attacks: pure functions that propose adversarial candidates and never judge them."""

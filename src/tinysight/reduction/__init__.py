"""Reductions: recorded, replayable changes that make a network smaller or faster."""

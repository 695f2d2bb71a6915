"""Losses, segmentors and metrics for a run, and what built models say of their classes."""

"""Hooks of MMEngine that stand guard in a run."""

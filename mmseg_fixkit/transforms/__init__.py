"""Transforms for the pipelines of a run."""

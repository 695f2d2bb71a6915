"""Writes the generated pages and images of the documentation."""

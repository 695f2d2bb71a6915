"""The proof over the whole zoo of MMSegmentation: ``python -m tests.zoo``, see ``docs/zoo.md``."""

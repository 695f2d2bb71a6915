"""Random input against everything that reads what other people made.

Each module with an ``attempt`` is an area: it makes one hostile input from the random numbers it is
given, lets the product read it, and holds the answer against what must be true of any input.
``python -m tests.fuzz --minutes 30`` goes on for as long as asked; ``test_fuzz.py`` is the part of
it that every run of the suite has.
"""

"""Do the tests see a fault? Small faults are put into a copy of the package, one at a time.

``python -m tests.mutants --seed 7 --mutants 200`` runs the suite once with coverage.py, which
tells which tests reach which line, draws mutants from all rooms of the package, and runs for each
of them the tests that reach its line, the fastest first, up to the first that fails.

The mutants are made by the operators of cosmic-ray. Its own runner has one command for all
mutants, and that of mutmut 3 knows neither the child processes of tests nor a sample: hence the
runner here.
"""

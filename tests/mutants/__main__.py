"""``python -m tests.mutants --seed 7 --mutants 200``: which small faults does no test see?"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path


def main() -> int:
    """Print each mutant as it ends and the report at the end; return 1 if one survived."""
    from tests.mutants.run import mutate

    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--mutants", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=60.0, help="for all, recording included")
    parser.add_argument("--seconds", type=float, default=60.0, help="of tests for each mutant")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rooms", default="", help="some packages, comma separated")
    parser.add_argument("--tests", default="tests", help="comma separated")
    parser.add_argument("--folder", type=Path, default=Path("build/mutants"))
    parser.add_argument("--again", action="store_true", help="take the record that is there")
    return mutate(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())

"""``python -m tests.fuzz --minutes 30``: look for inputs that the product does not stand up to."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import traceback
from pathlib import Path

from tests.fuzz.loop import FoundError, areas, fuzz


def main() -> int:
    """Give each area its share of the time; return 1 if something was found."""
    known = areas()
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="for all areas together")
    parser.add_argument("--only", choices=[*known], help="one area")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--round", type=int, help="one round of one area, with its seed")
    arguments = parser.parse_args()
    chosen = [arguments.only] if arguments.only else [*known]
    seconds = 60 * arguments.minutes / len(chosen)
    print(f"seed {arguments.seed}, {seconds:.0f} s for each of: {', '.join(chosen)}", flush=True)
    scratch = Path(tempfile.mkdtemp(prefix="fuzz-"))
    found = 0
    for area in chosen:
        folder = scratch / area
        try:
            held = fuzz(
                area,
                known[area],
                folder,
                seed=arguments.seed,
                seconds=seconds,
                only_round=arguments.round,
            )
        except FoundError:
            found += 1
            traceback.print_exc()
            print(f"{area}: did not hold; its input is in {folder}", flush=True)
        else:
            kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(held.items()))
            print(f"{area}: {sum(held.values())} held ({kinds})", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

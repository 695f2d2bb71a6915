"""Write docs/adapt-table.md: ``python -m docs.generate.adapt_table > docs/adapt-table.md``."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from tests.helpers.paths import DOCS

PAGE = DOCS / "adapt-table.md"
COMMAND = "python -m docs.generate.adapt_table > docs/adapt-table.md"

HEADS = (
    "heads",
    "measured with",
    "classes kept",
    "order",
    "subset",
    "one added",
    "agreement",
    "how classes act on each other",
)


def render(proofs: Iterable[Any], trained: Any) -> str:
    """Return the page."""
    rows = [_row(proof) for proof in sorted(proofs, key=lambda p: (bool(p.acting), p.heads))]
    return f"""\
# Checkpoints adapted: measured

Written by `{COMMAND}`. A part of it is a test in every `make test`.

A model of each head kind is built with random weights and seven classes, and adapted to the same
classes in another order, to four of them in another order (subset), and to all of them and one
more before them. The image is the same. The numbers are the largest difference between what the
model predicts for a kept class before and after, relative to its largest output: up to 1e-5 is
float rounding. The outputs of class layers are compared too, those of auxiliary heads and of layers
that only training uses included: they differ by rounding at most, OCRHead's after a subset or an
addition aside. Agreement is the share of pixels in which the best of the kept classes stays the
same, after subset or addition, the smaller of the two. Weights are random, which is the hard case:
trained classes win by more.

{_table(HEADS, rows)}

## A trained model, with a subset of its classes and no training

{trained}
"""


def _row(proof: Any) -> tuple[str, ...]:
    order, subset, added = proof.measured
    return (
        proof.heads,
        f"`{proof.config}`",
        f"{order.kept}; {subset.kept}; {added.kept}",
        *(_number(m) for m in proof.measured),
        f"{min(subset.agreement, added.agreement):.1%}",
        proof.acting or "",
    )


def _number(measured: Any) -> str:
    worst = measured.prediction
    return "0" if worst == 0 else f"{worst:.0e}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    import torch

    from tests.helpers.adapt_proof import ADDED, ORDER, SUBSET, prove
    from tests.helpers.adapt_trained import told
    from tests.zoo.train import STEPS

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    proofs = []
    with contextlib.redirect_stdout(sys.stderr):  # the host prints while it builds
        for step in STEPS:
            print(step.config, file=sys.stderr, flush=True)
            proofs.append(prove(step, [ORDER, SUBSET, ADDED]))
        trained = told()
    print(render([p for p in proofs if p], trained), end="")


if __name__ == "__main__":
    main()

"""Every config of the zoo set to several labels a pixel: ``python -m tests.zoo.multilabel``."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mmseg_fixkit import check, patch
from mmseg_fixkit.core.errors import FixkitError
from tests.zoo.configs import ROOT, all_configs, method_of

NAMES = ("person", "shadow", "glass")

#: Methods whose heads are not fit -> what is said of them. Four of FastFCN have an EncHead too.
REFUSED = {
    "encnet": "EncHead counts which classes",
    "mask2former": "Mask2FormerHead gives each query one class",
    "maskformer": "MaskFormerHead gives each query one class",
    "san": "SideAdapterCLIPHead compares masks with words",
    "vpd": "depth has no classes",
}


@dataclass
class Outcome:
    """What came of one config; ``reason`` is why it was refused."""

    config: str
    reason: str = ""
    problems: list[str] = field(default_factory=list)


def try_one(config: str, names: tuple[str, ...] = NAMES) -> Outcome:
    """Patch, write, patch again and check one config."""
    outcome = Outcome(config)
    try:
        planned = patch(ROOT / config, names, multilabel=True)
    except FixkitError as error:
        outcome.reason = str(error)
        return outcome
    outcome.problems += [f"left: {d.code} {d.message}" for d in planned.plan.remaining]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "patched.py"
        planned.write(path)  # which loads it again and compares
        again = patch(path, names, multilabel=True)
        outcome.problems += [f"again: {d.code} {d.message}" for d in again.plan.applied]
        outcome.problems += [f"check: {d.code} {d.message}" for d in check(path).diagnostics]
    return outcome


def run(configs: Iterable[str]) -> Iterator[Outcome]:
    for config in configs:
        outcome = try_one(config)
        for problem in outcome.problems:
            print(f"{config}: {problem}", flush=True)
        yield outcome


def main() -> int:
    outcomes = list(run(all_configs()))
    refused = [o for o in outcomes if o.reason]
    print(f"{len(outcomes)} configs, {len(outcomes) - len(refused)} patched and proved")
    for method, count in sorted(Counter(method_of(o.config) for o in refused).items()):
        reason = next(o.reason for o in refused if method_of(o.config) == method)
        print(f"{method}: {count} refused: {reason}")
    odd = [o for o in refused if not any(words in o.reason for words in REFUSED.values())]
    return 1 if odd or any(o.problems for o in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())

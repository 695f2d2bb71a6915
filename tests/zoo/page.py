"""The results of a run over the zoo as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mmseg_fixkit.apis.check_files import CheckResult
from tests.zoo.configs import method_of
from tests.zoo.findings import Finding, explained, findings_of, name_of
from tests.zoo.modes import MODES
from tests.zoo.steps import Result
from tests.zoo.train import BATCH, CLASSES, Trained
from tests.zoo.work import Record


@dataclass(frozen=True)
class Zoo:
    """Everything that the page tells.

    Args:
        versions: of the packages, by distribution.
        counts: the class counts that were patched to.
        findings: what ``check`` says of the unchanged configs.
        errors: the configs that ``check`` has no report of, with the reason.
        results: one for each config.
        steps: one for each training step.
    """

    versions: dict[str, str]
    counts: tuple[int, ...]
    findings: tuple[Finding, ...]
    errors: dict[str, str]
    results: tuple[Result, ...]
    steps: tuple[Trained, ...]

    @classmethod
    def of(
        cls,
        versions: dict[str, str],
        counts: Sequence[int],
        outcomes: Sequence[CheckResult],
        records: Iterable[Record],
    ) -> Zoo:
        made = list(records)
        return cls(
            versions,
            tuple(counts),
            findings_of(outcomes),
            {name_of(o.config): o.error for o in outcomes if o.error},
            tuple(r for r in made if isinstance(r, Result)),
            tuple(r for r in made if isinstance(r, Trained)),
        )

    @property
    def semantic(self) -> tuple[Result, ...]:
        return tuple(r for r in self.results if not r.refused)

    @property
    def refused(self) -> tuple[Result, ...]:
        return tuple(r for r in self.results if r.refused)

    @property
    def built(self) -> tuple[Result, ...]:
        return tuple(r for r in self.semantic if not r.needs)

    def problems(self) -> list[str]:
        """Everything that is wrong."""
        found = [f"{r.config}: {p}" for r in (*self.results, *self.steps) for p in r.problems]
        untold = [c for c in self.errors if c not in {r.config for r in self.refused}]
        return found + [f"{c}: check has no report: {self.errors[c]}" for c in untold]

    def untrained(self) -> list[str]:
        """Every head type that has no training step."""
        missing = {r.heads for r in self.built} - {step.heads for step in self.steps}
        return [f"no training step for {heads}" for heads in sorted(missing)]

    def summary(self) -> str:
        return (
            f"{len(self.results)} configs: {len(self.semantic)} patched, {len(self.refused)} "
            f"refused; {len(self.built)} built, {len(self.steps)} head types trained; "
            f"{len(self.problems())} problems"
        )


def render(zoo: Zoo) -> str:
    """Return the whole page."""
    blocks = (
        _introduction(zoo),
        totals(len(zoo.results), zoo),
        _building(zoo),
        _methods(zoo),
        _steps(zoo),
        findings_section(zoo.findings),
        _refused(zoo),
        _not_built(zoo),
    )
    return "\n\n".join(blocks) + "\n"


def _introduction(zoo: Zoo) -> str:
    names = ", ".join(f"{name} {number}" for name, number in zoo.versions.items())
    counts = ", ".join(str(count) for count in zoo.counts)
    return f"""\
# The zoo

Written by `make zoo`, with {names}.
A part of it runs in every `make test`.

Every config of MMSegmentation's zoo is loaded, checked, patched to {counts} classes
(1 means that class and `background`: 2), written, loaded again with MMEngine's own
`Config.fromfile`, and built by the host. Every tensor of the model is then compared with the one
that the host builds from the unpatched config: name, shape and type are the same, except in the
class layers that `mmseg_fixkit/config/host.py` lists, where the class axis has gone from the old
count to the new one (N + 1 in query heads, C + N at the input of `PointHead`). Counts and
`class_weight` of the built heads, and the classes and colours of the datasets that the host
builds, are compared too, and patching again finds nothing to do."""


def totals(configs: int, zoo: Zoo) -> str:
    sums: Counter[str] = Counter()
    for result in zoo.results:
        sums.update(result.written)
    rows = [
        (TOTAL, configs),
        ("semantic segmentation, patched", len(zoo.semantic)),
        ("refused, with the reason", len(zoo.refused)),
        *((_mode_row(mode.name, mode.of(zoo.counts)), sums[mode.name]) for mode in MODES),
        ("datasets built from them", sum(r.datasets for r in zoo.results)),
        ("configs whose model is built here", len(zoo.built)),
        ("models built from written configs", sum(r.built for r in zoo.results)),
        ("tensors compared", sum(r.tensors for r in zoo.results)),
        ("of them, tensors that follow the classes", sum(r.class_sized for r in zoo.results)),
        ("distinct head types, each trained for a step", len(zoo.steps)),
        ("anything wrong", len(zoo.problems())),
    ]
    return _table(("what", "how many"), rows, right=1)


#: The row that says how many configs there are.
TOTAL = "configs in the zoo"


def _mode_row(name: str, counts: tuple[int, ...]) -> str:
    numbers = ", ".join(str(c) for c in counts)
    return f"patches written, read back and compared: {name}, {numbers} classes"


def _building(zoo: Zoo) -> str:
    devices = Counter(r.device for r in zoo.built)
    return f"""\
Models are built on PyTorch's `meta` device, where a tensor has a name, a shape and a type, but no
memory ({devices["meta"]} of {len(zoo.built)} configs; {devices["cpu"]} need the CPU).
`SyncBN` is read as `BN`, and weights to download are left out. Datasets are built without reading
files, and without what needs a package that is not installed."""


def _methods(zoo: Zoo) -> str:
    groups: dict[str, list[Result]] = {}
    for result in zoo.semantic:
        groups.setdefault(method_of(result.config), []).append(result)
    rows = [_method(name, group) for name, group in groups.items()]
    head = ("method", "configs", "written", "built", "tensors", "class-sized", "heads")
    return "## By method\n\n" + _table(head, rows, right=6, first=1)


def _method(name: str, group: list[Result]) -> tuple[Any, ...]:
    heads = list(dict.fromkeys(r.heads for r in group))
    return (
        name,
        len(group),
        sum(sum(r.written.values()) for r in group),
        sum(r.built for r in group),
        sum(r.tensors for r in group),
        sum(r.class_sized for r in group),
        "; ".join(heads),
    )


def _steps(zoo: Zoo) -> str:
    using = Counter(r.heads for r in zoo.semantic)
    rows = [
        (s.heads, using[s.heads], f"`{s.config}`", s.size, s.class_tensors, _loss(s))
        for s in sorted(zoo.steps, key=lambda s: s.heads)
    ]
    head = ("heads", "configs", "trained with", "pixels", "class tensors", "loss")
    return f"""\
## One training step for each head type

A head type is a combination of decode heads and auxiliary heads. The smallest config of each is
patched to {CLASSES} classes, written, read back and built on the CPU; `model.loss` gets {BATCH}
images in whose labels every class has pixels and a row is 255. Losses have to be finite, every
class tensor needs a gradient that is finite and not zero, and what the model then predicts has to
be one of the {CLASSES} classes. Weights are initialised as the host does it without downloads; SAN
cannot be, and gets small random numbers. The loss is the sum of those in brackets.

{_table(head, rows)}"""


def _loss(step: Trained) -> str:
    parts = len(step.losses) - ("loss" in step.losses)
    return f"{step.losses.get('loss', 0):.1f} (of {parts})" if step.losses else ""


#: The heading above what ``check`` says.
FINDINGS = "## What `check` says of the unchanged zoo"


def findings_section(findings: Sequence[Finding]) -> str:
    """Return what ``check`` says of the unchanged zoo; each of it is a real fault."""
    rows = [
        (why.code, _list({f.config for f in found}), _list({f.key for f in found}), why.why)
        for why, found in explained(findings)
    ]
    configs = len({f.config for f in findings})
    return f"""\
{FINDINGS}

{len(findings)} findings in {configs} configs, each of which is a real fault of that config:

{_table(("code", "configs", "keys", "what happens"), rows)}"""


def with_findings(page: str, findings: Sequence[Finding]) -> str:
    """Return ``page`` with its section of findings written from scratch, the rest as it is."""
    before, _, rest = page.partition(f"{FINDINGS}\n")
    _, heading, after = rest.partition("\n\n## ")
    return f"{before}{findings_section(findings)}{heading}{after}"


def _list(entries: Iterable[str]) -> str:
    return ", ".join(f"`{entry}`" for entry in sorted(entries))


def _refused(zoo: Zoo) -> str:
    rows = [(f"`{r.config}`", r.refused) for r in zoo.refused]
    return "## Refused\n\n" + _table(("config", "reason"), rows)


def _not_built(zoo: Zoo) -> str:
    lines = [f"- `{r.config}`: needs {r.needs}" for r in zoo.semantic if r.needs]
    unsaid = Counter((mode, why) for r in zoo.semantic for mode, why in r.unsaid.items())
    text = f"""\
## Not built here

These {len(lines)} configs are loaded, checked, patched, written and read back like the others, but
their models are not built:

{chr(10).join(lines)}"""
    if not unsaid:
        return text
    rows = [(mode, number, why) for (mode, why), number in sorted(unsaid.items())]
    return f"{text}\n\n## Not written\n\n{_table(('how', 'configs', 'why not'), rows)}"


def _table(
    head: Sequence[str], rows: Iterable[Sequence[Any]], right: int = 0, first: int = 1
) -> str:
    """Write a table; the ``right`` columns from ``first`` on hold numbers."""
    rules = ["---:" if first <= i < first + right else "---" for i in range(len(head))]
    return "\n".join(_row(cells) for cells in (head, rules, *rows))


def _row(cells: Iterable[Any]) -> str:
    return "| " + " | ".join(f"{c:,}" if isinstance(c, int) else str(c) for c in cells) + " |"

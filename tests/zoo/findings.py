"""What ``check`` says of the unchanged zoo, and why each of it is a real fault."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

from mmseg_fixkit.apis.check_files import CheckResult
from mmseg_fixkit.core.diagnostics import format_key
from tests.zoo.configs import ROOT


@dataclass(frozen=True)
class Finding:
    """One finding in one config."""

    config: str
    code: str
    key: str


@dataclass(frozen=True)
class Explanation:
    """Why a finding is real: what happens when such a config is run as it is."""

    code: str
    configs: str
    why: str


_IGNORED = (
    "`CrossEntropyLoss` looks up the weight of every label to take its mean, that of 255 too: "
    "training stops with `index 255 is out of bounds` at the first ignored pixel, which labels of "
    "Cityscapes and every padded crop have."
)
_WEIGHTS = (
    "The list has 172 weights, those of COCO-Stuff in the base file; the head sets `num_classes` "
    "and leaves them. Training stops with `weight tensor should be defined either for all "
    "{outputs} classes or no classes`. Such a file only serves for testing a model trained on "
    "COCO-Stuff."
)

EXPLANATIONS = (
    Explanation("MSF107", "cgnet/*", _IGNORED),
    Explanation("MSF107", "pidnet/*", _IGNORED),
    Explanation("MSF102", "san/*_pascal_context-*", _WEIGHTS.format(outputs=60)),
    Explanation("MSF102", "san/*_voc12aug-*", _WEIGHTS.format(outputs=21)),
    Explanation(
        "MSF101",
        "san/*_voc12aug-*",
        "The training dataset has 21 classes, `background` first, but the head 20, and the text "
        "encoder drops `background`: label 1 (aeroplane) would be learned as the word of index 1, "
        "`bicycle`, and label 20 as 'no object'.",
    ),
    Explanation(
        "MSF201",
        "san/*_voc12aug-*",
        "`metainfo` with 20 classes is written for validation and test only. The same label file "
        "gives aeroplane as 0 there, and as 1 in training.",
    ),
)


def findings_of(outcomes: Iterable[CheckResult]) -> tuple[Finding, ...]:
    return tuple(
        Finding(name_of(outcome.config), d.code, format_key(d.key))
        for outcome in outcomes
        if outcome.report is not None
        for d in outcome.report.diagnostics
    )


def name_of(file: str) -> str:
    """``…/configs/san/x.py`` -> ``san/x.py``."""
    return file.removeprefix(f"{ROOT}/")


def explained(findings: Sequence[Finding]) -> Iterator[tuple[Explanation, tuple[Finding, ...]]]:
    """Yield each explanation with what it explains."""
    for explanation in EXPLANATIONS:
        fitting = tuple(f for f in findings if _fits(explanation, f))
        if fitting:
            yield explanation, fitting


def unexplained(findings: Sequence[Finding]) -> list[str]:
    return [
        f"{f.config}: {f.code} at {f.key} has no explanation in tests/zoo/findings.py"
        for f in findings
        if not any(_fits(explanation, f) for explanation in EXPLANATIONS)
    ]


def _fits(explanation: Explanation, finding: Finding) -> bool:
    return finding.code == explanation.code and fnmatch(finding.config, explanation.configs)

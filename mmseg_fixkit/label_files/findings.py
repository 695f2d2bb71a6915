"""Statistics of label files -> findings: the rules of family 4, MSF401 to MSF499."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

from mmseg_fixkit.diagnostics import Diagnostic

# The other modules register their rules.
from mmseg_fixkit.label_files import file_findings, split_findings, value_findings  # noqa: F401
from mmseg_fixkit.label_files.saying import ScanFacts
from mmseg_fixkit.label_files.stats import LabelStats
from mmseg_fixkit.registry import select_reported

FAMILY = "MSF4"


def findings(
    stats: LabelStats,
    select: Optional[Iterable[str]] = None,
    ignore: Optional[Iterable[str]] = None,
) -> tuple[Diagnostic, ...]:
    """Return what is wrong with the label files, in the order of the codes.

    Args:
        stats: of a scan.
        select: prefixes of the codes to look for; all where left out.
        ignore: prefixes of the codes to leave out.

    Raises:
        FixkitError: a prefix fits no rule of this family.
    """
    facts = ScanFacts(stats)
    return tuple(d for rule in select_reported(FAMILY, select, ignore) for d in rule.run(facts))

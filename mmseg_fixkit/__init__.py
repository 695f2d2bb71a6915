"""Finds and repairs class faults in MMSegmentation configs, and guards training against them.

Importing this package is light: it loads neither torch nor MMEngine, yet makes the hooks and
transforms known to MMEngine, so that ``custom_imports = dict(imports=['mmseg_fixkit'])`` is all
a config needs. The public names below are loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import Any

from mmseg_fixkit.registration import register

__version__ = "0.1.0"

_HOMES = {
    "LabelSpace": "mmseg_fixkit.labels",
    "FixkitError": "mmseg_fixkit.errors",
    "Applicability": "mmseg_fixkit.diagnostics",
    "Diagnostic": "mmseg_fixkit.diagnostics",
    "Report": "mmseg_fixkit.diagnostics",
    "Severity": "mmseg_fixkit.diagnostics",
    "Patch": "mmseg_fixkit.apis.patch",
    "AdaptReport": "mmseg_fixkit.checkpoint.report",
    "CheckpointMismatch": "mmseg_fixkit.errors",
    "adapt_state_dict": "mmseg_fixkit.runtime.adapt",
    "check": "mmseg_fixkit.apis.check",
    "explain": "mmseg_fixkit.explanations.explain",
    "Explanation": "mmseg_fixkit.explanations.explanation",
    "init_model": "mmseg_fixkit.runtime.inference",
    "patch": "mmseg_fixkit.apis.patch",
    "load_checkpoint": "mmseg_fixkit.checkpoint.files",
    "LabelStats": "mmseg_fixkit.label_files.stats",
    "scan": "mmseg_fixkit.label_files.scan_files",
    "class_weights": "mmseg_fixkit.class_balance",
}

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604 - the keys are texts


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


register()

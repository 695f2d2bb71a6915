"""Finds and repairs class faults in MMSegmentation configs, and guards training against them.

Importing this package is light: it loads neither torch nor MMEngine, yet makes the hooks and
transforms known to MMEngine, so that ``custom_imports = dict(imports=['mmseg_fixkit'])`` is all
a config needs. The public names below are loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import Any

from mmseg_fixkit.core.registration import register

__version__ = "0.1.0"

_HOMES = {
    "LabelSpace": "mmseg_fixkit.core.labels",
    "FixkitError": "mmseg_fixkit.core.errors",
    "Applicability": "mmseg_fixkit.core.diagnostics",
    "Diagnostic": "mmseg_fixkit.core.diagnostics",
    "Report": "mmseg_fixkit.core.diagnostics",
    "Severity": "mmseg_fixkit.core.diagnostics",
    "Patch": "mmseg_fixkit.apis.patch",
    "AdaptReport": "mmseg_fixkit.checkpoint.report",
    "CheckpointMismatch": "mmseg_fixkit.core.errors",
    "adapt_state_dict": "mmseg_fixkit.models.adapt",
    "check": "mmseg_fixkit.apis.check",
    "explain": "mmseg_fixkit.apis.explain.explain",
    "Explanation": "mmseg_fixkit.apis.explain.explanation",
    "init_model": "mmseg_fixkit.apis.inference",
    "patch": "mmseg_fixkit.apis.patch",
    "load_checkpoint": "mmseg_fixkit.checkpoint.files",
    "LabelStats": "mmseg_fixkit.datasets.stats",
    "scan": "mmseg_fixkit.datasets.scan_files",
    "class_weights": "mmseg_fixkit.datasets.class_weights",
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

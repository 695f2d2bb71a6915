"""Where things are in a checkout."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CONFIGS = ROOT / "configs"
DOCS = ROOT / "docs"
PACKAGE = ROOT / "mmseg_fixkit"

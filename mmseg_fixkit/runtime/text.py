"""Tables for a log file."""

from __future__ import annotations

from mmseg_fixkit.checkpoint.report import table

__all__ = ["table"]

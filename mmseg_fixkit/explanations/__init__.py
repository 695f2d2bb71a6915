"""From an error text, a log or a table of results to the cause and what to do."""

from __future__ import annotations

from mmseg_fixkit.explanations.core import explain
from mmseg_fixkit.explanations.explanation import Explanation, Possibility

__all__ = ["Explanation", "Possibility", "explain"]

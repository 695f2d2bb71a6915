"""Output formatters, called reporters as ``report`` is taken by what they print."""

from mmseg_fixkit.reporters.json import json_report
from mmseg_fixkit.reporters.text import patch_text, report_text, summary_text

__all__ = ["json_report", "patch_text", "report_text", "summary_text"]

"""Everything that the command needs, imported when there is something to try."""

from mmseg_fixkit.preflight.flight import Flight, Outcome, State, fly
from mmseg_fixkit.preflight.report import as_json, closing, exit_code, lines_of
from mmseg_fixkit.preflight.stages import STAGES

__all__ = [
    "STAGES",
    "Flight",
    "Outcome",
    "State",
    "as_json",
    "closing",
    "exit_code",
    "fly",
    "lines_of",
]

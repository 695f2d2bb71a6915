"""Everything that the command needs, imported when there is something to try."""

from mmseg_fixkit.apis.preflight.runner import Flight, Outcome, State, fly
from mmseg_fixkit.apis.preflight.stages import STAGES
from mmseg_fixkit.cli.output.preflight import as_json, closing, exit_code, lines_of

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

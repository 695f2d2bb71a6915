"""Hooks that guard a run; importing one lets torch read the checkpoints that MMEngine writes."""

from mmseg_fixkit.models.safe_load import allow_checkpoints

allow_checkpoints()

"""What stops a run, each built from one string.

``torch.utils.data`` rebuilds a worker's exception as ``type(text)``, with the worker's traceback
in the text, so an exception with more arguments would reach the user as a bare ``RuntimeError``.
"""

from __future__ import annotations

from mmseg_fixkit.core.errors import CheckpointMismatch, FixkitError

__all__ = ["CheckpointMismatch", "ClassCountError", "LabelOutOfBounds", "LossSanityError"]


class LabelOutOfBounds(FixkitError):  # noqa: N818 - says what is wrong, as users read it
    """A label map holds values that are no class of the set."""


class ClassCountError(FixkitError):
    """Model, losses, datasets and metrics do not agree on the classes."""


class LossSanityError(FixkitError):
    """The first iterations of a training show that it will learn nothing."""

"""The one exception family that users see: a sentence, never a traceback."""

from __future__ import annotations


class FixkitError(ValueError):
    """Wrong use or unreadable input; the command line prints it and exits with 2.

    It is built from one string so that it survives pickling between processes
    (``torch.utils.data`` rebuilds a worker's exception from its text alone).
    """


class NotSegmentation(FixkitError):  # noqa: N818 - says what it is, as users read it
    """A file that can be read, but is not the config of a segmentation model."""


class CheckpointMismatch(FixkitError):  # noqa: N818 - says what is wrong, as users read it
    """A checkpoint differs from the model in more than its class layers."""


class LabelOutOfBounds(FixkitError):  # noqa: N818 - says what is wrong, as users read it
    """A label map holds values that are no class of the set."""


class ClassCountError(FixkitError):
    """Model, losses, datasets and metrics do not agree on the classes."""


class LossSanityError(FixkitError):
    """The first iterations of a training show that it will learn nothing."""

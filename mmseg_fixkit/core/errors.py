"""The one exception family that users see: a sentence, never a traceback."""

from __future__ import annotations

from mmseg_fixkit.core.text import printable, printable_lines


class FixkitError(ValueError):
    """Wrong use or unreadable input; the command line prints it and exits with 2.

    It is one line: control characters and line ends in names and values that it quotes are escaped.
    It is built from one string so that it survives pickling between processes
    (``torch.utils.data`` rebuilds a worker's exception from its text alone).
    """

    _shown = staticmethod(printable)

    def __init__(self, text: str = "") -> None:
        super().__init__(self._shown(text))


class NotSegmentation(FixkitError):  # noqa: N818 - says what it is, as users read it
    """A file that can be read, but is not the config of a segmentation model."""


class CheckpointMismatch(FixkitError):  # noqa: N818 - says what is wrong, as users read it
    """A checkpoint differs from the model in more than its class layers."""

    _shown = staticmethod(printable_lines)  # it has tables


class LabelOutOfBounds(FixkitError):  # noqa: N818 - says what is wrong, as users read it
    """A label map holds values that are no class of the set."""


class ClassCountError(FixkitError):
    """Model, losses, datasets and metrics do not agree on the classes."""

    _shown = staticmethod(printable_lines)  # it has a list


class LossSanityError(FixkitError):
    """The first iterations of a training show that it will learn nothing."""

    _shown = staticmethod(printable_lines)  # it has a list


#: What files and what stands in them can raise anywhere, and is no fault of the program.
OUTER = (OSError, UnicodeError, RecursionError, MemoryError)


def sentence(error: BaseException) -> str:
    """Say in one line what one of :data:`OUTER` means, or a ``FixkitError``."""
    if isinstance(error, OSError):
        named = f"{error.filename}: " if error.filename is not None else ""
        return printable(f"{named}{error.strerror or str(error) or type(error).__name__}")
    if isinstance(error, RecursionError):
        return "something is nested too deeply to be read"
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    return printable(str(error))

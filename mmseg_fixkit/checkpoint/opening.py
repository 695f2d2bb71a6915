"""``torch.load``, kept to weights and to the allow-list, with its errors in a sentence."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mmseg_fixkit.checkpoint.allowed import globals_for_reading
from mmseg_fixkit.checkpoint.faults import FileKind
from mmseg_fixkit.errors import FixkitError

_WAY_ROUND = ". If you trust whoever made the file, give --trust-checkpoint (trust=True)"
#: Lists with the names that files call things by.
_FIRST_WITH_LISTS = (2, 6)
#: How the messages of torch name what a file asked for.
_ASKED = (
    r"GLOBAL (\S+) was not an allowed",
    r"unsupported GLOBAL (\S+) whose module",
    r"asks for (\S+)",
    r"but got <class '([\w.]+)'>",
    r"unrecognized function (.+)",
    r"(\S+)`* must be imported to load",
)


def load_safely(path: Path, kind: FileKind, *, mmap: bool) -> Any:
    """Load with ``weights_only=True`` and the allow-list.

    Raises:
        FixkitError: the file asks for anything else, is damaged, or of a form that torch opens
            only by running it.
    """
    if kind.name == "tar":
        raise FixkitError(
            f"{path} is of the tar form of torch 0.1, which cannot be opened "
            f"without running what stands in it{_WAY_ROUND}"
        )
    _need_allow_lists(path)
    with _allow_list():
        try:
            return _load(path, mmap=mmap, weights_only=True)
        except pickle.UnpicklingError as error:
            raise FixkitError(_refusal(path, str(error))) from None
        except Exception as error:  # a broken file raises whatever its parser likes
            raise _damaged(path, error) from None


def load_trusted(path: Path, kind: FileKind, *, mmap: bool) -> Any:
    """Load a file that may run whatever it asks for.

    Raises:
        FixkitError: it could not be opened all the same.
    """
    try:
        return _load(path, mmap=mmap, weights_only=False)
    except ImportError as error:
        raise FixkitError(f"{path} asks for {error.name}, which is not installed here") from None
    except Exception as error:  # the file runs what it likes
        raise _damaged(path, error) from None


def _load(path: Path, *, mmap: bool, weights_only: bool) -> Any:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.load(str(path), map_location="cpu", weights_only=weights_only, mmap=mmap)


def _need_allow_lists(path: Path) -> None:
    import torch

    version = tuple(map(int, re.findall(r"\d+", torch.__version__)[:2]))
    if version < _FIRST_WITH_LISTS:
        raise FixkitError(
            f"{path} cannot be opened safely by torch {torch.__version__}, which cannot be given a "
            f"list of what a file may hold; use torch 2.6 or newer{_WAY_ROUND}"
        )


@contextmanager
def _allow_list() -> Iterator[None]:
    from torch.serialization import get_safe_globals, safe_globals

    # At its end the context forgets its entries, even those that were there before it.
    there = set(get_safe_globals())
    with safe_globals([entry for entry in globals_for_reading() if entry not in there]):
        yield


def _refusal(path: Path, message: str) -> str:
    if "Unsupported operand" in message:
        return (
            f"{path} was not opened: it is pickled in a form that torch reads only by running it "
            f"(torch.save writes protocol 2, this is protocol 3 to 5, or damaged){_WAY_ROUND}"
        )
    names = _asked_for(path, message)
    if not names:
        return f"{path} is cut off or damaged: {_torch_reason(message)}"
    listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if names[5:] else "")
    return (
        f"{path} was not opened: it asks for {listed}, which is more than weights, logs and "
        f"numbers, and opening it would run that{_WAY_ROUND}"
    )


def _asked_for(path: Path, message: str) -> list[str]:
    import torch

    found = [match[1] for pattern in _ASKED for match in re.finditer(pattern, message)]
    with suppress(Exception):  # only for files in today's form, if all of it can be read
        found += torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
    return sorted({name.removeprefix("builtins.") for name in found})


def _torch_reason(message: str) -> str:
    # Torch puts its own advice around the reason, each in lines of its own.
    inner = message.rpartition("WeightsUnpickler error:")[2].strip()
    return inner.splitlines()[0] if inner else "it cannot be unpickled"


def _damaged(path: Path, error: BaseException) -> FixkitError:
    reason = "it ends too early" if isinstance(error, EOFError) else str(error) or repr(error)
    return FixkitError(f"{path} is cut off or damaged: {reason.strip().splitlines()[0]}")

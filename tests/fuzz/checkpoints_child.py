"""The process that opens hostile checkpoints: it may die of one, and says what it saw otherwise.

A line with a path comes in, a line of JSON goes out: what our reader made of the file, and what
``torch.load(weights_only=True)`` did that knows MMEngine's files. A result is told as a digest of
all numbers in it, which is the same in two processes only if every one of them was in the file.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import resource
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable

import numpy
import torch
from mmengine.logging import HistoryBuffer

from mmseg_fixkit.checkpoint.archive import read_archive
from mmseg_fixkit.checkpoint.file_type import detect_file_type
from mmseg_fixkit.checkpoint.files import read_checkpoint, write_checkpoint
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.models.safe_load import allow_checkpoints

#: Numbers of one tensor that are looked at; some say that they have very many.
_LOOKED_AT = 1_000_000
_METHODS = dict(HistoryBuffer([], [])._statistics_methods)


def _digest(value: Any, digest: Any, left: list[int]) -> None:
    """Put everything in a value into a digest; at most as many parts as are left."""
    left[0] -= 1
    if left[0] < 0:
        return
    digest.update(type(value).__name__.encode())
    inner: list[Any] = []
    if isinstance(value, torch.Tensor):
        _digest_tensor(value, digest)
    elif isinstance(value, (numpy.ndarray, numpy.generic)):
        _digest_array(value, digest)
    elif isinstance(value, HistoryBuffer):
        inner = [*value.data, value.max_length]
    elif isinstance(value, Mapping):
        inner = [*value.keys(), *value.values()]
    elif isinstance(value, (list, tuple)):
        inner = [*value]
    elif isinstance(value, (str, int, float, bytes, bytearray, complex)):
        digest.update(repr(value)[:100_000].encode("utf-8", "replace"))
    for part in inner:
        _digest(part, digest, left)


def _digest_array(array: Any, digest: Any) -> None:
    assert array.dtype.kind in "biufcSU", array.dtype
    digest.update(f"{array.dtype} {array.shape} {array!r}".encode() + array.tobytes())


def _digest_tensor(tensor: Any, digest: Any) -> None:
    digest.update(f"{tensor.dtype} {tuple(tensor.shape)} {tensor.layout}".encode())
    if tensor.is_meta or tensor.numel() > _LOOKED_AT:
        return
    if tensor.layout is not torch.strided:
        tensor = tensor.to_dense()
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    whole = tensor.detach().resolve_conj().resolve_neg().contiguous()
    digest.update(bytes(whole.untyped_storage()))


def _told(value: Any) -> str:
    digest = hashlib.sha256()
    sys.setrecursionlimit(20_000)
    try:
        _digest(value, digest, [10_000])
    finally:
        sys.setrecursionlimit(1000)
    return f"opened {digest.hexdigest()[:16]}"


def _ours(path: Path) -> str:
    try:
        found = read_checkpoint(path)
    except FixkitError as error:
        text = str(error)
        assert len(text) < 2000, text
        if "holds no weights" not in text:
            return "refused" if "was not opened" in text else "damaged"
        return _told(read_archive(path, detect_file_type(path).name, in_file=True))
    again = read_checkpoint(path, mmap=False)
    told = _told([found.state_dict, found.ema, found.meta])
    assert told == _told([again.state_dict, again.ema, again.meta])
    copy = path.with_name(f"copy-{os.getpid()}.pth")
    if not any(t.layout is not torch.strided or t.is_meta for t in found.state_dict.values()):
        write_checkpoint(copy, found.state_dict, found.meta)
        assert list(read_checkpoint(copy).state_dict) == list(found.state_dict)
    return told


def _theirs(path: Path) -> str:
    try:
        return _told(torch.load(path, weights_only=True))
    except (pickle.UnpicklingError, *_DAMAGED) as error:
        return f"refused {type(error).__name__}"
    finally:
        assert HistoryBuffer([], [])._statistics_methods == _METHODS


#: What the unpickler of torch raises where a pickle is damaged.
_DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def _in_bounds(read: Callable[[Path], str], path: Path, megabytes: int) -> str:
    """Read a file; an answer that took too much time or memory is a finding."""
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    try:
        told = read(path)
    except BaseException as error:
        return f"FOUND {type(error).__name__}: {error}"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if grown > megabytes or time.monotonic() - start > 20:
        return f"FOUND {grown:.0f} MB, {time.monotonic() - start:.0f} s"
    return told


def main() -> None:
    """Answer until there are no more lines."""
    warnings.simplefilter("ignore")
    allow_checkpoints()
    for line in sys.stdin:
        path, torch_too = json.loads(line)
        told = [_in_bounds(_ours, Path(path), 1000)]
        told += [_in_bounds(_theirs, Path(path), 1000)] if torch_too else []
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()

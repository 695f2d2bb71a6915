"""Checkpoint files, read without running what stands in them, and written in one piece."""

from __future__ import annotations

import errno
import json
import os
import re
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, Optional, Union

from mmseg_fixkit.checkpoint.contents import Checkpoint, checkpoint_in, is_writable, with_versions
from mmseg_fixkit.checkpoint.file_type import FileType, detect_file_type
from mmseg_fixkit.core.compat import load_anything, untyped_storage
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import check_target, expanded, replacing
from mmseg_fixkit.core.text import first_few

AnyPath = Union[str, "os.PathLike[str]"]
SAFETENSORS = ".safetensors"

_UNLESS_TRUSTED = ". If you trust whoever made the file, give --trust-checkpoint (trust=True)"

#: Keys of the table of texts in a ``.safetensors``; in it, of mappings whose keys are no texts.
_META = "meta"
_PAIRS = "__pairs__"


def load_checkpoint(path: AnyPath) -> Checkpoint:
    """Read a checkpoint without running anything that stands in it.

    Args:
        path: a ``.pth`` (``.pt``, ``.ckpt``…) of ``torch.save``, or a ``.safetensors``.

    Raises:
        FixkitError: it is no checkpoint, is damaged, holds no tensor, or asks for more than
            weights, logs and numbers; says which.
    """
    return read_checkpoint(path)


def read_checkpoint(path: AnyPath, *, trust: bool = False, mmap: bool = True) -> Checkpoint:
    """Read a checkpoint; see :func:`load_checkpoint`.

    With ``trust`` the file may run whatever it asks for; with ``mmap`` tensors may stay in it
    until they are used.
    """
    file = _file(os.fspath(path))
    kind = detect_file_type(file)
    found = checkpoint_in(_raw(file, kind, trust, mmap), file)
    if found is None:
        raise FixkitError(
            f"{file} holds no weights: there is no tensor in it, nor under a key that programs "
            "keep weights under (state_dict, model, params, …)"
        )
    if not is_writable(found.meta):
        raise FixkitError(
            f"{file} was not opened: what it says of itself (meta) is nested deeper or holds more "
            "than any program writes"
        )
    # A .safetensors has no keys around the names.
    return replace(found, wrapped="") if kind.name == "safetensors" else found


def _file(name: str) -> Path:
    if not name:
        raise FixkitError("no checkpoint was named: its path is empty")
    if "://" in name:
        raise FixkitError(f"{name} is an address, not a file on this machine; download it first")
    return expanded(name) if name.startswith("~") else Path(name)


def _raw(path: Path, kind: FileType, trust: bool, mmap: bool) -> Any:
    if kind.name == "safetensors":
        return _read_safetensors(path)
    if path.suffix == SAFETENSORS:
        raise FixkitError(
            f"{path} is named {SAFETENSORS}, but torch.save wrote it; name it .pth and try again"
        )
    load = _load_trusted if trust else _load_safely
    return load(path, kind, mmap=mmap and kind.mappable)


# --- torch ---------------------------------------------------------------------------------------


def _load_safely(path: Path, kind: FileType, *, mmap: bool) -> Any:
    """Read what the file holds without running any of it.

    Raises FixkitError if the file asks for more than checkpoints hold, is damaged, or of a form
    that can be opened only by running it.
    """
    from mmseg_fixkit.checkpoint.archive import read_archive
    from mmseg_fixkit.checkpoint.safe_globals import NotAllowedError
    from mmseg_fixkit.checkpoint.tensors import NewerTorchError

    if kind.name == "tar":
        raise FixkitError(
            f"{path} is of the tar form of torch 0.1, which cannot be opened "
            f"without running what stands in it{_UNLESS_TRUSTED}"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of kinds of tensors that torch will drop
            return read_archive(path, kind.name, in_file=mmap)
    except NotAllowedError as error:
        names = first_few(sorted({*error.names}), 5)
        raise FixkitError(
            f"{path} was not opened: it asks for {names}, which is more than "
            f"weights, logs and numbers, and opening it would run that{_UNLESS_TRUSTED}"
        ) from None
    except NewerTorchError as error:
        raise FixkitError(f"{path} {error}") from None
    except Exception as error:  # a broken file raises whatever its parser likes
        raise _damaged(path, error) from None


def _load_trusted(path: Path, kind: FileType, *, mmap: bool) -> Any:
    """Load a file that may run whatever it asks for; FixkitError where that fails all the same."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return load_anything(str(path), mmap=mmap)
    except ImportError as error:
        raise FixkitError(f"{path} asks for {error.name}, which is not installed here") from None
    except Exception as error:  # the file runs what it likes
        raise _damaged(path, error) from None


def _damaged(path: Path, error: BaseException) -> FixkitError:
    reason = "it ends too early" if isinstance(error, EOFError) else str(error) or repr(error)
    return FixkitError(f"{path} is cut off or damaged: {reason.strip().splitlines()[0]}")


# --- safetensors ---------------------------------------------------------------------------------


def _library(path: Path) -> ModuleType:
    try:
        import safetensors.torch
    except ModuleNotFoundError:
        raise FixkitError(
            f"{path} needs the package safetensors, which is not installed here: "
            "pip install safetensors, or use a .pth file"
        ) from None
    library: ModuleType = safetensors
    return library


def _read_safetensors(path: Path) -> dict[str, Any]:
    """Read a file as ``{'state_dict': …, 'meta': …}``; the tensors stay in the file until used.

    Raises FixkitError if the package is missing, or the file is damaged.
    """
    library = _library(path)
    try:
        with library.safe_open(str(path), framework="pt") as file:
            names = file.keys()
            state = {name: file.get_tensor(name) for name in names}
            texts = file.metadata() or {}
    except (library.SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise FixkitError(f"{path} is cut off or damaged: {error}. Fetch it again") from None
    return {"state_dict": state, "meta": _meta(texts)}


def _meta(texts: Mapping[str, str]) -> dict[str, Any]:
    rest = {key: text for key, text in texts.items() if key not in (_META, "format")}
    try:
        meta = json.loads(texts.get(_META, "{}"), object_hook=_from_pairs)
    except (ValueError, RecursionError):  # a text of somebody else
        meta = texts[_META]
    return {**rest, **(meta if isinstance(meta, dict) else {_META: meta})}


def _from_pairs(found: dict[str, Any]) -> dict[Any, Any]:
    pairs = found[_PAIRS] if found.keys() == {_PAIRS} else None
    if not isinstance(pairs, list) or not all(map(_is_pair, pairs)):
        return found
    return {tuple(key) if isinstance(key, list) else key: value for key, value in pairs}


def _is_pair(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 2:
        return False
    parts = value[0] if isinstance(value[0], list) else [value[0]]
    return not any(isinstance(part, (list, dict)) for part in parts)


# --- writing -------------------------------------------------------------------------------------


def write_checkpoint(
    path: AnyPath,
    state_dict: Mapping[str, Any],
    meta: Mapping[str, Any],
    *,
    ema: Optional[Mapping[str, Any]] = None,
    overwrite: bool = False,
    source: Optional[AnyPath] = None,
) -> None:
    """Write a checkpoint that MMEngine's ``load_from`` reads, whole or not at all.

    The suffix ``.safetensors`` gives that format (``meta`` as JSON), any other that of
    ``torch.save``. Views are written without the rest of what they look at. ``source``, the file
    that the tensors come from, is never replaced, another one only with ``overwrite``.

    Raises:
        FixkitError: the file exists, is the source, or cannot be written. Nothing is left then.
    """
    output = Path(path)
    check_output(output, overwrite=overwrite, source=source)
    if output.suffix == SAFETENSORS and ema is not None:
        raise FixkitError(
            f"{output} has room for one set of weights, but this checkpoint also holds those of "
            "EMAHook; write a .pth"
        )
    with replacing(output) as temporary:
        if output.suffix == SAFETENSORS:
            _write_safetensors(temporary, output, without_unused_storage(state_dict), meta)
        else:
            _save(temporary, state_dict, meta, ema)


def check_output(path: AnyPath, *, overwrite: bool, source: Optional[AnyPath] = None) -> None:
    """Refuse an output that could not or must not be written, before any work is done."""
    output = Path(path)
    if source is not None and _same(output, Path(source)):
        raise FixkitError(f"{output} is the checkpoint that is read; give another output")
    check_target(output, overwrite=overwrite)


def _same(output: Path, source: Path) -> bool:
    try:
        return output.samefile(source)
    except OSError:
        return False


def _save(
    path: Path,
    state_dict: Mapping[str, Any],
    meta: Mapping[str, Any],
    ema: Optional[Mapping[str, Any]],
) -> None:
    import torch

    whole = {"meta": dict(meta), "state_dict": without_unused_storage(state_dict)}
    if ema is not None:
        whole["ema_state_dict"] = without_unused_storage(ema)
    # To an open file: given a path, torch writes the name of the temporary file into it.
    with path.open("wb") as file:
        noting = _Noting(file)
        torch.save(whole, noting)
        if noting.error is not None:
            raise noting.error


class _Noting:
    """A file for ``torch.save``, which may end the process where a write raises: notes it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: Optional[OSError] = None

    def write(self, data: bytes) -> int:
        """Write, unless that failed before."""
        try:
            if self.error is None:
                self._file.write(data)
        except OSError as error:
            self.error = error
        return len(data)

    def flush(self) -> None:
        """Do nothing: the file is closed soon."""


def _write_safetensors(
    path: Path, shown: Path, state_dict: Mapping[str, Any], meta: Mapping[str, Any]
) -> None:
    """Write tensors, each with memory of its own, and ``meta`` as JSON."""
    library = _library(shown)
    texts = {"format": "pt", _META: json.dumps(_plain(meta), ensure_ascii=False, default=_nearest)}
    try:
        library.torch.save_file(_apart(state_dict), str(path), texts)
    except library.SafetensorError as error:
        reason = re.sub(r" \(os error \d+\)", "", str(error).rpartition("I/O error: ")[2])
        raise OSError(errno.EIO, reason) from None


def _plain(value: Any) -> Any:
    """Turn mappings whose keys are no texts, which JSON has no form for, into pairs."""
    if isinstance(value, Mapping):
        texts = all(isinstance(key, str) for key in value)
        pairs = [(key, _plain(inner)) for key, inner in value.items()]
        return dict(pairs) if texts else {_PAIRS: pairs}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _nearest(value: Any) -> Any:
    """Turn what JSON has no form for into what comes nearest: arrays into lists, all else texts."""
    if isinstance(value, (set, frozenset)):
        return list(value)
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _apart(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    seen: set[int] = set()
    result = {}
    for name, tensor in state_dict.items():
        memory = untyped_storage(tensor).data_ptr()
        own = tensor.contiguous()
        result[name] = own.clone() if memory in seen and own is tensor else own
        seen.add(memory)
    return result


# --- tensors ready for a file --------------------------------------------------------------------


def without_unused_storage(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``tensors`` on the CPU, without memory behind them that none of them uses.

    ``torch.save`` writes the whole storage below a view. Where a storage is larger than the
    tensors over it, they are copied; equal views share one copy.
    """
    import torch

    plain = {n: tensor.detach().resolve_conj().resolve_neg() for n, tensor in tensors.items()}
    dense = {n: t for n, t in plain.items() if t.layout is torch.strided and not t.is_meta}
    views = {name: _view(tensor) for name, tensor in dense.items()}
    each = {views[name]: tensor for name, tensor in dense.items()}
    used: Counter[int] = Counter()
    for view, tensor in each.items():
        used[view[0]] += tensor.numel() * tensor.element_size()
    made = {view: _copied_if_larger(tensor, used[view[0]]) for view, tensor in each.items()}
    return with_versions({**plain, **{n: made[view] for n, view in views.items()}}, tensors)


def _view(tensor: Any) -> tuple[Any, ...]:
    storage = untyped_storage(tensor)._cdata
    return storage, tensor.dtype, tensor.storage_offset(), tensor.shape, tensor.stride()


def _copied_if_larger(tensor: Any, used: int) -> Any:
    if tensor.device.type != "cpu":
        return tensor.cpu()
    return tensor.clone() if untyped_storage(tensor).nbytes() > used else tensor

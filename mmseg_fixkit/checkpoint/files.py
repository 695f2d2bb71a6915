"""Checkpoint files, read without running what stands in them, and written in one piece."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Optional, Union

from mmseg_fixkit.checkpoint.contents import contents, without_prefix
from mmseg_fixkit.checkpoint.faults import FileKind, identify
from mmseg_fixkit.checkpoint.opening import load_safely, load_trusted
from mmseg_fixkit.checkpoint.safetensors_files import read_safetensors, write_safetensors
from mmseg_fixkit.checkpoint.storages import tight
from mmseg_fixkit.core.files import check_target, replacing
from mmseg_fixkit.errors import FixkitError

AnyPath = Union[str, "os.PathLike[str]"]
SAFETENSORS = ".safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint file as read.

    Its tensors lie in the file until they are used, so the file must stay as it is; changing a
    tensor does not change the file.

    Args:
        path: of the file.
        state_dict: name -> tensor, as in the file. In a checkpoint of MMEngine's ``EMAHook`` these
            are the averaged weights.
        meta: what the file says about itself; empty where it says nothing.
        ema: the ``ema_state_dict`` entry or None. ``EMAHook`` swaps when it saves: this holds the
            weights that are *not* averaged, each name behind ``module.``, and a count of steps.
        dropped: names of its other entries, such as optimizer, param_schedulers, message_hub.
        wrapped: the key under which the state dict lay, such as 'state_dict' or 'model'; empty
            for a bare one.
        prefix: what a wrapper of the model put before the names in ``state_dict``, such as
            'module.' (DistributedDataParallel) or 'model.' (Lightning); mostly empty.
    """

    path: Path
    state_dict: dict[str, Any]
    meta: dict[str, Any] = field(default_factory=dict)
    ema: Optional[dict[str, Any]] = None
    dropped: tuple[str, ...] = ()
    wrapped: str = ""
    prefix: str = ""

    def unprefixed(self) -> dict[str, Any]:
        """Return ``state_dict`` without ``prefix``."""
        return without_prefix(self.state_dict, self.prefix)

    def taken(self) -> str:
        """Say in a sentence what was taken of the file and what was not."""
        count = len(self.state_dict)
        parts = [f"{count} tensor{'s' * (count != 1)}"]
        if self.wrapped not in ("", "state_dict"):
            parts.append(f"from {self.wrapped!r}")
        if self.prefix:
            parts.append(f"with {self.prefix!r} before their names")
        left = f"; not taken: {', '.join(self.dropped)}" if self.dropped else ""
        return f"{self.path}: {' '.join(parts)}{left}"


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

    Args:
        path: of the file.
        trust: whether the file may run whatever it asks for.
        mmap: whether the tensors may stay in the file until they are used.
    """
    file = _file(os.fspath(path))
    kind = identify(file)
    found = contents(_raw(file, kind, trust, mmap))
    if found is None:
        raise FixkitError(
            f"{file} holds no weights: there is no tensor in it, nor under a key that programs "
            "keep weights under (state_dict, model, params, …)"
        )
    if kind.name == "safetensors":  # which has no keys around the names
        found = replace(found, wrapped="")
    return Checkpoint(path=file, **vars(found))


def _file(name: str) -> Path:
    if not name:
        raise FixkitError("no checkpoint was named: its path is empty")
    if "://" in name:
        raise FixkitError(f"{name} is an address, not a file on this machine; download it first")
    return Path(name).expanduser() if name.startswith("~") else Path(name)


def _raw(path: Path, kind: FileKind, trust: bool, mmap: bool) -> Any:
    if kind.name == "safetensors":
        return read_safetensors(path)
    if path.suffix == SAFETENSORS:
        raise FixkitError(
            f"{path} is named {SAFETENSORS}, but torch.save wrote it; name it .pth and try again"
        )
    load = load_trusted if trust else load_safely
    return load(path, kind, mmap=mmap and kind.mappable)


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

    Args:
        path: the suffix ``.safetensors`` gives that format, any other that of ``torch.save``.
        state_dict: name -> tensor. Views are written without the rest of what they look at.
        meta: as in :class:`Checkpoint`; in a ``.safetensors`` as JSON.
        ema: see :class:`Checkpoint`.
        overwrite: whether an existing file may be replaced.
        source: the file that the tensors come from, which is never replaced.

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
            write_safetensors(temporary, output, tight(state_dict), meta)
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

    whole = {"meta": dict(meta), "state_dict": tight(state_dict)}
    if ema is not None:
        whole["ema_state_dict"] = tight(ema)
    # To an open file: given a path, torch writes the name of the temporary file into it.
    try:
        with path.open("wb") as file:
            torch.save(whole, file)
    except RuntimeError as error:  # torch wraps what the system said
        said = error.__context__
        raise said if isinstance(said, OSError) else OSError(str(error).splitlines()[0]) from None

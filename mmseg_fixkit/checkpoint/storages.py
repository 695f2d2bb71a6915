"""Tensors made ready for a file: each with the bytes it uses, and no others.

``torch.save`` writes the whole storage below a view. Here a storage is cut into the stretches
that the tensors use, without a copy; tensors that overlap keep one stretch, so that names that
share a tensor still share it when the file is read.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

#: First byte, byte behind the last, name.
Stretch = tuple[int, int, str]
#: Widest element; a cut there keeps every element in its place.
_ALIGN = 16


def tight(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``tensors`` on the CPU, over storages that hold nothing else."""
    result = OrderedDict((name, _plain(tensor)) for name, tensor in tensors.items())
    metadata = getattr(tensors, "_metadata", None)
    if metadata is not None:
        result._metadata = metadata  # type: ignore[attr-defined]
    for names in _by_storage(result):
        if len(names) == 1 and _fills_its_storage(result[names[0]]):
            continue
        stretches = [_stretch(result[name], name) for name in names]
        for group in groups(stretches, {name for name in names if _has_gaps(result[name])}):
            result.update(_cut(group, result))
    return result


def _plain(tensor: Any) -> Any:
    tensor = tensor.detach().resolve_conj().resolve_neg()
    return tensor.clone() if tensor.numel() == 0 else tensor


def _by_storage(tensors: Mapping[str, Any]) -> Iterable[list[str]]:
    groups: dict[int, list[str]] = {}
    for name, tensor in tensors.items():
        if _is_dense(tensor):
            groups.setdefault(tensor.untyped_storage()._cdata, []).append(name)
    return groups.values()


def _is_dense(tensor: Any) -> bool:
    import torch

    strided = tensor.layout is torch.strided and not tensor.is_quantized
    return bool(strided and tensor.device.type != "meta" and tensor.numel())


def _fills_its_storage(tensor: Any) -> bool:
    nbytes = tensor.untyped_storage().nbytes()
    return bool(tensor.device.type == "cpu" and tensor.is_contiguous() and tensor.nbytes == nbytes)


def _stretch(tensor: Any, name: str) -> Stretch:
    size = tensor.element_size()
    first = tensor.storage_offset() * size
    last = sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride()))
    return first, first + (last + 1) * size, name


def groups(stretches: Iterable[Stretch], gappy: set[str]) -> Iterator[list[Stretch]]:
    """Yield what has to stay together, because it overlaps.

    Args:
        stretches: of one storage.
        gappy: names of those that skip bytes, such as columns of a table. They stay with others
            only if these need the bytes anyway.
    """
    whole = list(overlapping(s for s in stretches if s[2] not in gappy))
    alone: dict[tuple[int, int], list[Stretch]] = {}
    for stretch in sorted(s for s in stretches if s[2] in gappy):
        within = (g for g in whole if g[0][0] <= stretch[0] and stretch[1] <= _end(g))
        next(within, alone.setdefault(stretch[:2], [])).append(stretch)
    yield from whole
    yield from (group for group in alone.values() if group)


def overlapping(stretches: Iterable[Stretch]) -> Iterator[list[Stretch]]:
    """Yield groups of stretches that overlap, directly or through others."""
    group: list[Stretch] = []
    for stretch in sorted(stretches):
        if group and stretch[0] >= _end(group):
            yield group
            group = []
        group.append(stretch)
    if group:
        yield group


def _end(group: list[Stretch]) -> int:
    return max(end for _, end, _ in group)


def _cut(group: list[Stretch], tensors: Mapping[str, Any]) -> dict[str, Any]:
    names = [name for _, _, name in group]
    tensor = tensors[names[0]]
    if _has_gaps(tensor):  # then all of them have
        return _copied(names, tensors)
    first, end = group[0][0] - group[0][0] % _ALIGN, _end(group)
    storage = tensor.untyped_storage()
    if tensor.device.type == "cpu" and (first, end) == (0, storage.nbytes()):
        return {}
    part = storage[first:end].cpu()
    return {name: _over(part, tensors[name], first) for name in names}


def _copied(names: list[str], tensors: Mapping[str, Any]) -> dict[str, Any]:
    copies: dict[Any, Any] = {}
    result = {}
    for name in names:
        tensor = tensors[name]
        key = tensor.dtype, tuple(tensor.shape), tensor.stride()
        copy = copies.get(key)
        result[name] = copies[key] = tensor.cpu().contiguous() if copy is None else copy
    return result


def _has_gaps(tensor: Any) -> bool:
    first, end, _ = _stretch(tensor, "")
    return bool(tensor.numel() * tensor.element_size() != end - first)


def _over(storage: Any, tensor: Any, first: int) -> Any:
    import torch

    offset = tensor.storage_offset() - first // tensor.element_size()
    return torch.empty(0, dtype=tensor.dtype).set_(
        storage, offset, tuple(tensor.shape), tensor.stride()
    )

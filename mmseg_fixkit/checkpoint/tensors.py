"""Tensors of a checkpoint, made of the bytes in its file; what it says of them is checked.

torch itself checks little of it: a tensor may look at more than its storage has, hold what nobody
wrote, or repeat one number until the memory is full.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import prod
from pickle import UnpicklingError
from typing import Any, Callable

from mmseg_fixkit.checkpoint.safe_globals import NotAllowedError, PlainArray, StandIn
from mmseg_fixkit.checkpoint.unpickle import Known, Named
from mmseg_fixkit.core.compat import checked, untyped_storage

#: How the storages of torch.save are named -> the type of their numbers.
STORAGES: dict[str, str] = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "QInt8Storage": "qint8",
    "QUInt8Storage": "quint8",
    "QInt32Storage": "qint32",
    "UntypedStorage": "uint8",  # whoever uses it says what is in it
}
#: Types whose numbers are quantized -> the type of what is stored.
_STORED = {"torch.qint8": "int8", "torch.quint8": "uint8", "torch.qint32": "int32"}
#: Where such names, and those of types of numbers, come from.
_MODULES = ("torch", "torch.cuda", "torch.storage")
_DTYPE = re.compile(r"torch\.((b?float|u?int|complex)\d\w*|bool|q(u?int)\d+)")
#: All tensors of a file together may be larger than the file, for some look at the same numbers.
_FACTOR, _SPARE = 16, 2**26
_MAX_RANK = 64
_TOO_MANY = 2**60


class NewerTorchError(UnpicklingError):
    """A file holds what only a newer torch has; says what."""


@dataclass(frozen=True)
class StorageId:
    """What a pickle says of a storage, whose numbers lie outside of it."""

    key: str
    dtype: Any
    count: int  # of numbers
    view: Any = None  # (key, first number, numbers) of a part of it, in old files

    @property
    def nbytes(self) -> int:
        """How many bytes it needs."""
        return self.count * item_size(self.dtype)


@dataclass(frozen=True)
class Storage(StandIn):
    """Numbers of one type in a file: bytes ``start`` to ``start + size`` of ``memory``."""

    memory: Any  # uint8, shape (bytes,)
    dtype: Any
    start: int
    size: int


def storage_id(found: Any) -> StorageId:
    """Read the identifier of a storage: ``('storage', type, key, place, numbers[, view])``.

    Raises pickle.UnpicklingError for anything else, NotAllowedError for other types.
    """
    if type(found) is not tuple or len(found) not in (5, 6) or found[0] != "storage":
        raise UnpicklingError("something other than a storage lies outside the pickle")
    _, kind, key, _, count, *view = found
    if type(kind) is not str or kind not in _storage_names():
        raise UnpicklingError("the type of a storage is missing")
    if type(key) is not str or not _is_size(count):
        raise UnpicklingError("a storage has no name or no size")
    dtype = torch_dtype(STORAGES[kind.rpartition(".")[2]])
    return StorageId(key, dtype, count, *view)


@cache
def _storage_names() -> frozenset[str]:
    return frozenset(f"{module}.{name}" for module in _MODULES for name in STORAGES)


def torch_dtype(name: str) -> Any:
    """Return a type of torch. Raises NewerTorchError where the installed torch lacks it."""
    import torch

    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise NewerTorchError(
            f"holds numbers of the type torch.{name}, which torch {torch.__version__} lacks; "
            "use a newer torch"
        )
    return found


@cache
def item_size(dtype: Any) -> int:
    """Return the bytes of one number of a type."""
    import torch

    return int(torch.empty(0, dtype=dtype, device="cpu").element_size())


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < _TOO_MANY


def _are_sizes(value: Any) -> bool:
    plain = isinstance(value, (tuple, list)) and len(value) <= _MAX_RANK
    return plain and all(map(_is_size, value))


def _is_shape(value: Any) -> bool:
    # torch multiplies without looking, and a shape may have a zero beside numbers of any size.
    return _are_sizes(value) and prod(max(n, 1) for n in value) < _TOO_MANY


class Tensors:
    """Makes the tensors of one file.

    Args:
        memory: gives the bytes of a storage as a tensor (uint8, shape (bytes,)).
        file_size: bytes of the file.
        big_endian: whether numbers have their first byte first.
    """

    def __init__(
        self, memory: Callable[[StorageId], Any], file_size: int, *, big_endian: bool = False
    ) -> None:
        self._memory = memory
        self._left = self._most = _FACTOR * file_size + _SPARE
        self._swapped: dict[str, Any] = {}
        self._swap = big_endian != (sys.byteorder == "big")

    def names(self, name: str) -> Any:
        """Return what stands for a name of torch; None for one that is not known."""
        if name in _storage_names():
            return name
        function = _REBUILD.get(name)
        if function is not None:
            return Known(name, lambda *args: function(self, *args))
        return _value(name)

    def storage(self, found: Any) -> Storage:
        """Return the storage that an identifier names. Raises as :func:`storage_id`."""
        named = storage_id(found)
        memory = self._memory(named)
        if named.nbytes > memory.numel():
            raise UnpicklingError(f"storage {named.key} has fewer bytes than it should")
        if self._swap:
            memory = self._in_our_order(named, memory)
        return _part(named, memory)

    def _in_our_order(self, named: StorageId, memory: Any) -> Any:
        if named.key not in self._swapped:
            size = item_size(named.dtype) // (2 if named.dtype.is_complex else 1)
            numbers = memory[: named.nbytes].reshape(-1, size)
            self._swapped[named.key] = numbers.flip(1).reshape(-1)
        return self._swapped[named.key]

    # --- what pickles call -----------------------------------------------------------------------

    def tensor(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Any:
        """Rebuild a tensor (``_rebuild_tensor`` and, with more arguments, ``_v2``)."""
        if type(storage) is not Storage or not _is_dtype(storage.dtype):
            raise UnpicklingError("a tensor without a storage or a type")
        made = self._view(storage, storage.dtype, offset, size, stride)
        return _with_bits(made, _[2] if len(_) > 2 else None)

    def tensor_of_type(self, *args: Any) -> Any:
        """Rebuild a tensor of a type that has no storage of its own (``_rebuild_tensor_v3``)."""
        storage, offset, size, stride, _, _, dtype, *rest = args
        if type(storage) is not Storage or not _is_dtype(dtype):
            raise UnpicklingError("a tensor without a storage or a type")
        made = self._view(storage, dtype, offset, size, stride)
        return _with_bits(made, rest[0] if rest else None)

    def _view(self, storage: Storage, dtype: Any, offset: Any, size: Any, stride: Any) -> Any:
        import torch

        fits = _is_size(offset) and _is_shape(size) and _are_sizes(stride)
        if not fits or len(size) != len(stride):
            raise UnpicklingError("a tensor has no shape")
        item = item_size(dtype)
        end = offset + (1 + sum((n - 1) * s for n, s in zip(size, stride)) if all(size) else 0)
        if end * item > storage.size or storage.start % item:
            raise UnpicklingError("a tensor is larger than its storage")
        self._spend(prod(size) * item)
        start = storage.start // item + offset
        made = torch.empty(0, dtype=dtype, device="cpu")
        return made.set_(untyped_storage(storage.memory), start, tuple(size), tuple(stride))

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise UnpicklingError(f"its tensors say that they have more than {self._most} bytes")

    def quantized(
        self, storage: Any, offset: Any, size: Any, stride: Any, how: Any, *_: Any
    ) -> Any:
        """Rebuild a quantized tensor (``_rebuild_qtensor``)."""
        import torch

        stored = _STORED.get(str(getattr(storage, "dtype", None)))
        if type(storage) is not Storage or stored is None or type(how) is not tuple:
            raise UnpicklingError("a quantized tensor without a storage")
        numbers = self._view(storage, torch_dtype(stored), offset, size, stride)
        if how[0] == torch.per_tensor_affine:
            _, scale, zero = how
            return torch._make_per_tensor_quantized_tensor(numbers, scale, zero)
        if how[0] != torch.per_channel_affine:
            raise NotAllowedError(f"a tensor quantized by {how[0]}")
        _, scales, zeros, axis = how
        each = [torch.as_tensor(scales).double(), torch.as_tensor(zeros).long()]
        if not (_is_size(axis) and axis < numbers.dim()) or any(
            tuple(given.shape) != (numbers.shape[axis],) for given in each
        ):
            raise UnpicklingError("a tensor is quantized by more or fewer numbers than it has rows")
        return torch._make_per_channel_quantized_tensor(numbers, *each, axis)

    def sparse(self, layout: Any, data: Any) -> Any:
        """Rebuild a sparse tensor (``_rebuild_sparse_tensor``)."""
        import torch

        if type(data) is not tuple or not _is_shape(data[2 if _is_coo(layout) else 3]):
            raise UnpicklingError("a sparse tensor without a shape")
        check = checked("sparse_coo_tensor(check_invariants=)")
        if _is_coo(layout):
            made = torch.sparse_coo_tensor(*map(_tensor, data[:2]), tuple(data[2]), **check)
            return made.coalesce() if data[3:] == (True,) else made
        parts = map(_tensor, data[:3])
        return torch.sparse_compressed_tensor(*parts, tuple(data[3]), layout=layout, **check)

    def without_numbers(self, dtype: Any, size: Any, stride: Any, *_: Any) -> Any:
        """Rebuild a tensor of the device ``meta``, which has a shape and no memory."""
        import torch

        if not _is_dtype(dtype) or not _is_shape(size) or not _are_sizes(stride):
            raise UnpicklingError("a tensor has no shape")
        return torch.empty_strided(tuple(size), tuple(stride), dtype=dtype, device="meta")

    def of_array(self, values: Any, dtype: Any, *_: Any) -> Any:
        """Rebuild a tensor of a device that is saved as an array of NumPy."""
        import numpy
        import torch

        if type(values) is not PlainArray or not _is_dtype(dtype):
            raise UnpicklingError("a tensor without numbers")
        return torch.from_numpy(numpy.array(values)).to(dtype)

    def of_cpu(self, values: Any, dtype: Any, *_: Any) -> Any:
        """Rebuild a tensor of a device that is saved as a tensor of the CPU."""
        if not _is_dtype(dtype):
            raise UnpicklingError("a tensor without a type")
        return _tensor(values).to(dtype)

    def parameter(self, values: Any, *_: Any) -> Any:
        """Return the tensor of a parameter: whether it is trained says the model."""
        return _tensor(values)

    def with_attributes(self, function: Any, kind: Any, args: Any, *_: Any) -> Any:
        """Rebuild a tensor that had attributes, which are not taken (``_rebuild_from_type_v2``)."""
        known = type(function) is Known and function.stands_for in _REBUILD
        if not known or kind not in _TENSOR_TYPES.values() or type(args) is not tuple:
            raise NotAllowedError("a tensor of a type of its own")
        return function.make(*args)


def _part(named: StorageId, memory: Any) -> Storage:
    if named.view is None:
        return Storage(memory, named.dtype, 0, memory.numel())
    item = item_size(named.dtype)
    _, first, count = named.view
    if not (_is_size(first) and _is_size(count) and first + count <= named.count):
        raise UnpicklingError("a part of a storage is larger than the storage")
    return Storage(memory, named.dtype, first * item, count * item)


def _with_bits(tensor: Any, bits: Any) -> Any:
    """Return a tensor seen as torch saw it: conjugate or negative, of the same numbers."""
    import torch

    if not isinstance(bits, Mapping):
        return tensor
    tensor = tensor.conj() if bits.get("conj") is True else tensor
    return torch._neg_view(tensor) if bits.get("neg") is True else tensor


def _tensor(value: Any) -> Any:
    import torch

    if type(value) is not torch.Tensor:
        raise UnpicklingError("a tensor is missing")
    return value


def _is_dtype(value: Any) -> bool:
    """Whether a value is a type of numbers that mean something by themselves."""
    import torch

    return isinstance(value, torch.dtype) and str(value) not in _STORED


def _is_coo(layout: Any) -> bool:
    import torch

    return layout is torch.sparse_coo


def _size(value: Any = ()) -> Any:
    import torch

    if not _is_shape(value):
        raise NotAllowedError("torch.Size of more than sizes")
    return torch.Size(value)


def _device(*args: Any) -> Any:
    import torch

    if not all(type(arg) in (str, int) for arg in args):
        raise NotAllowedError("torch.device of more than a name")
    return torch.device(*args)


def _layout(name: Any) -> Any:
    import torch

    found = getattr(torch, name.rpartition(".")[2], None) if type(name) is str else None
    if not isinstance(found, torch.layout):
        raise NotAllowedError("a layout that torch does not know")
    return found


def _value(name: str) -> Any:
    import torch

    if name in _NAMED:
        return _NAMED[name]
    module, _, own = name.rpartition(".")
    found = getattr(torch, own, None) if module == "torch" else None
    if isinstance(found, (torch.dtype, torch.qscheme)):
        return found
    return torch_dtype(own) if _DTYPE.fullmatch(name) else None


#: What a file may call of torch, by name.
_REBUILD: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": Tensors.tensor,
    "torch._utils._rebuild_tensor_v2": Tensors.tensor,
    "torch._utils._rebuild_tensor_v3": Tensors.tensor_of_type,
    "torch._utils._rebuild_parameter": Tensors.parameter,
    "torch._utils._rebuild_parameter_with_state": Tensors.parameter,
    "torch._utils._rebuild_qtensor": Tensors.quantized,
    "torch._utils._rebuild_sparse_tensor": Tensors.sparse,
    "torch._utils._rebuild_meta_tensor_no_storage": Tensors.without_numbers,
    "torch._utils._rebuild_device_tensor_from_numpy": Tensors.of_array,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": Tensors.of_cpu,
    "torch._tensor._rebuild_from_type_v2": Tensors.with_attributes,
}
_PARAMETER = "torch.nn.parameter.Parameter"
#: Types of tensors that a file may name; that of parameters makes them in files of torch 0.3.
_TENSOR_TYPES: dict[str, Any] = {
    "torch.Tensor": Named("torch.Tensor"),
    _PARAMETER: Known(_PARAMETER, lambda values, *_: _tensor(values)),
}
_NAMED: dict[str, Any] = {
    **_TENSOR_TYPES,
    "torch.Size": Known("torch.Size", _size),
    "torch.device": Known("torch.device", _device),
    "torch.serialization._get_layout": Known("a layout", _layout),
}

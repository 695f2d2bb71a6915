"""What a checkpoint may name beyond tensors and containers, and what stands in its place.

Nothing that a file names is ever used itself: in the place of a class or a function of NumPy,
MMEngine or Python stands one of this module, which takes what real checkpoints give it and refuses
the rest. The same stand-ins serve :mod:`~mmseg_fixkit.checkpoint.unpickle` and, through
``torch.serialization.add_safe_globals``, ``torch.load``.
"""

from __future__ import annotations

import pickle
import re
from collections import OrderedDict
from math import prod
from typing import Any, Callable

import numpy

#: Name in the file -> why a checkpoint of a training run holds it.
ALLOWED: dict[str, str] = {
    "mmengine.logging.history_buffer.HistoryBuffer": "the logs in `message_hub`",
    "mmengine.optim.scheduler.param_scheduler.OneCycleParamScheduler": (
        "owner of the function that a `OneCycleLR` scheduler keeps in `param_schedulers`"
    ),
    "builtins.getattr": (
        "how Python pickles methods: only of the two classes above, and only the methods that "
        "their files name (`min`, `max`, `mean`, `current`; `_annealing_cos`, `_annealing_linear`)"
    ),
    "numpy.ndarray": "the values of each log; palettes in `meta`",
    "numpy.dtype": "the type of such values: numbers and texts",
    "numpy._core.multiarray._reconstruct": "makes an empty array, which its values then fill",
    "numpy._core.multiarray.scalar": "single numbers: `best_score`, `eta`, learning rates",
    "numpy.core.multiarray._reconstruct": "the same in files written with NumPy 1",
    "numpy.core.multiarray.scalar": "the same in files written with NumPy 1",
}
HISTORY, ONE_CYCLE, GETATTR = list(ALLOWED)[:3]
#: The methods that files name, of each of the two classes of MMEngine.
METHODS: dict[str, tuple[str, ...]] = {
    HISTORY: ("min", "max", "mean", "current"),
    ONE_CYCLE: ("_annealing_cos", "_annealing_linear"),
}

_PLAIN = re.compile(r"b1|[iu][1248]|f[248]|c8|c16|[SU][1-9]\d{0,8}")
#: What ``numpy.dtype`` is given beside the code of the type: ``align`` and ``copy``.
_DTYPE_OPTIONS = ((), (False,), (False, True))
_MAX_RANK, _MAX_SIZE = 32, 2**16
_MAX_NAME = 100


class NotAllowedError(pickle.UnpicklingError):
    """A file asks for something that stands on no list; ``names`` are what it asks for."""

    def __init__(self, *names: str) -> None:
        self.names = tuple(map(_shown, names))
        super().__init__(f"asks for {', '.join(self.names)}")


def _shown(name: str) -> str:
    """Return a name as messages show it: what prints of it, and not more than people read."""
    plain = "".join(c if c.isprintable() else "?" for c in name.removeprefix("builtins."))
    return plain if len(plain) <= _MAX_NAME else f"{plain[:_MAX_NAME]}…"


class StandIn:
    """What takes the place of something that a file names, and is no value itself.

    Where it is written again, such as a log in ``meta``, nothing of it is: a mapping without keys.
    """

    def __reduce__(self) -> Any:
        return OrderedDict, ()

    def __str__(self) -> str:
        return "not read"


class PlainDtype(StandIn):
    """Takes the place of ``numpy.dtype``: a type of numbers or texts, whatever a file says of it.

    Raises NotAllowedError for any other type.
    """

    def __init__(self, code: str, *options: Any) -> None:
        plain = type(code) is str and _PLAIN.fullmatch(code) and options in _DTYPE_OPTIONS
        if not plain:
            raise NotAllowedError(f"numpy.dtype({code!r})" if type(code) is str else "numpy.dtype")
        self._code, self._order = code, "="

    def __setstate__(self, state: Any) -> None:
        """Take the order of bytes. The rest of the state follows from the code and is not taken."""
        plain = type(state) is tuple and len(state) == 8 and state[2:5] == (None, None, None)
        if not (plain and state[0] == 3 and state[1] in ("<", ">", "|", "=")):
            raise NotAllowedError("numpy.dtype with fields")
        self._order = state[1]

    def dtype(self) -> numpy.dtype[Any]:
        """Return the type, which nothing of the file has touched."""
        return numpy.dtype(self._order + self._code)


class PlainArray(numpy.ndarray[Any, Any]):
    """Takes the place of ``numpy.ndarray`` where torch unpickles; an array like any other after.

    It cannot be called, is filled once, and is pickled as an array of NumPy.
    """

    stands_for = "numpy.ndarray"

    def __new__(cls, *_: object) -> PlainArray:
        """Refuse to make one: an array of a size has memory that nothing has written."""
        raise NotAllowedError("numpy.ndarray with a size")

    def __setstate__(self, state: Any) -> None:
        fill(self, state)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return numpy.asarray(self).__reduce_ex__(protocol)


def empty_array(kind: Any, shape: Any, code: Any) -> PlainArray:
    """Stand for ``_reconstruct``: only an array of no values, which :func:`fill` fills."""
    if (
        getattr(kind, "stands_for", "") != PlainArray.stands_for
        or shape != (0,)
        or code not in (b"b", "b")
    ):
        raise NotAllowedError("numpy._reconstruct of more than an empty array")
    return numpy.ndarray.__new__(PlainArray, (0,), numpy.int8)


def fill(array: numpy.ndarray[Any, Any], state: Any) -> None:
    """Give an array of :func:`empty_array` its values: as many bytes as its shape needs.

    Raises NotAllowedError if it has values, or the state is not that of plain values.
    """
    if not (type(state) is tuple and len(state) == 5 and state[0] == 1 and array.size == 0):
        raise NotAllowedError("an array in a form that NumPy does not write")
    _, shape, kind, fortran, data = state
    dtype = _checked_dtype(kind, data)
    if not _is_shape(shape, len(data)) or prod(shape) * dtype.itemsize != len(data):
        raise pickle.UnpicklingError("an array has more or fewer bytes than its shape needs")
    values: Any = (1, shape, dtype, bool(fortran), data)
    numpy.ndarray.__setstate__(array, values)


def scalar(kind: Any, data: Any) -> Any:
    """Stand for ``numpy.core.multiarray.scalar``: one number or text of its bytes."""
    dtype = _checked_dtype(kind, data)
    if len(data) != dtype.itemsize:
        raise pickle.UnpicklingError("a number has more or fewer bytes than its type needs")
    return numpy.frombuffer(data, dtype)[0]


def _checked_dtype(kind: Any, data: Any) -> numpy.dtype[Any]:
    if type(kind) is not PlainDtype or type(data) is not bytes:
        raise NotAllowedError("an array in a form that NumPy does not write")
    dtype = kind.dtype()
    if dtype.kind == "U":  # NumPy itself takes any number for a letter
        little = dtype.newbyteorder("<") == dtype
        data.decode("utf-32-le" if little else "utf-32-be", "surrogatepass")
    return dtype


def _is_shape(shape: Any, size: int) -> bool:
    plain = type(shape) is tuple and len(shape) <= _MAX_RANK
    return plain and all(type(n) is int and 0 <= n <= max(size, _MAX_SIZE) for n in shape)


def method_of(owners: list[tuple[Any, dict[str, Any]]]) -> Callable[[Any, Any], Any]:
    """Return what stands for ``getattr``: it gives the few methods of each owner, and no other.

    Raises (when called) NotAllowedError for anything else.
    """

    def method(owner: Any, name: Any) -> Any:
        found = next((known for kind, known in owners if kind is owner), {})
        if type(name) is not str or name not in found:
            asked = name if type(name) is str else "getattr"
            raise NotAllowedError(f"{getattr(owner, 'stands_for', 'builtins')}.{asked}")
        return found[name]

    return method


def numpy_stand_ins() -> dict[str, Any]:
    """Return the stand-ins for what files name of NumPy, by the name in the file."""
    made: dict[str, Any] = {"numpy.ndarray": PlainArray, "numpy.dtype": PlainDtype}
    for module in ("numpy._core", "numpy.core"):
        made[f"{module}.multiarray._reconstruct"] = empty_array
        made[f"{module}.multiarray.scalar"] = scalar
    return made

"""What a checkpoint may ask for when it is unpickled: plain values, and nothing that acts.

``torch.load(weights_only=True)`` knows tensors and containers. Checkpoints of MMEngine also hold
their logs and a few numbers of NumPy; :data:`ALLOWED` adds those, with the reason for each.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any, Union

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
    "numpy.dtype": "the type of such values",
    "numpy._core.multiarray._reconstruct": "makes an empty array, which its values then fill",
    "numpy._core.multiarray.scalar": "single numbers: `best_score`, `eta`, learning rates",
    "numpy.core.multiarray._reconstruct": "the same in files written with NumPy 1",
    "numpy.core.multiarray.scalar": "the same in files written with NumPy 1",
    "numpy.dtypes.Float64DType": "values of logs, `eta`",
    "numpy.dtypes.Float32DType": "`best_score` of `IoUMetric`",
    "numpy.dtypes.Int64DType": "counts of logs",
    "numpy.dtypes.Int32DType": "counts of logs, from Windows",
    "numpy.dtypes.UInt8DType": "palettes",
    "numpy.dtypes.BoolDType": "flags in `meta`",
}

#: What torch takes: an object under its own name, or with the name that files call it by.
Global = Union[Any, tuple[Any, str]]

HISTORY, ONE_CYCLE, GETATTR = list(ALLOWED)[:3]
_METHODS: dict[str, tuple[str, ...]] = {
    HISTORY: ("min", "max", "mean", "current"),
    ONE_CYCLE: ("_annealing_cos", "_annealing_linear"),
}


class IgnoredHistoryBuffer:
    """Takes the place of a log, which nobody reads here, whatever its state."""

    stands_for = HISTORY
    min = max = mean = current = None

    def __setstate__(self, state: object) -> None:
        """Forget the state."""


class IgnoredSchedule:
    """Takes the place of the owner of a schedule's function."""

    stands_for = ONE_CYCLE
    _annealing_cos = _annealing_linear = None


def safe_globals_for_reading() -> list[Global]:
    """Return the allow-list for our own reads: logs and schedules are dropped unread."""
    return safe_globals_for(IgnoredHistoryBuffer, IgnoredSchedule)


def safe_globals_for(log: type[Any], schedule: type[Any]) -> list[Global]:
    """Return the allow-list, with these classes for the two that are MMEngine's own."""
    return [(log, HISTORY), (schedule, ONE_CYCLE), (safe_getattr, GETATTR), *_numpy_globals()]


def safe_getattr(owner: Any, name: str) -> Any:
    """Stand for ``getattr`` in a pickle: give the few methods that checkpoints name.

    Raises pickle.UnpicklingError for anything else.
    """
    kind = isinstance(owner, type)
    known_as = getattr(owner, "stands_for", f"{owner.__module__}.{owner.__name__}") if kind else ""
    if name not in _METHODS.get(known_as, ()):
        raise pickle.UnpicklingError(f"asks for {getattr(owner, '__name__', 'getattr')}.{name}")
    return getattr(owner, name)


def _numpy_globals() -> Iterator[Global]:
    import numpy

    core = getattr(numpy, "_core", None) or numpy.core
    for function in (core.multiarray._reconstruct, core.multiarray.scalar):
        for module in ("numpy._core", "numpy.core"):
            yield function, f"{module}.multiarray.{function.__name__}"
    yield from ((kind, f"numpy.{kind.__name__}") for kind in (numpy.ndarray, numpy.dtype))
    for letter in ("float64", "float32", "int64", "int32", "uint8", "bool"):
        dtype = type(numpy.dtype(letter))
        yield dtype, f"numpy.dtypes.{dtype.__name__}"

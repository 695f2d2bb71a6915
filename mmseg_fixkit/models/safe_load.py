"""Lets MMEngine read its own checkpoints where torch unpickles weights only.

Since torch 2.6 ``torch.load`` refuses what it does not know, and MMEngine 0.10.7, which calls it
as it is, cannot read what it wrote: the logs in ``message_hub``. So torch is given the few names
that such files hold. Behind none of them is the class or function itself: torch calls whatever is
on its list, with any arguments, and sets the state of what comes out.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any, Optional

import mmengine.runner.checkpoint as host
import numpy
import torch
from mmengine.dist import is_main_process
from mmengine.logging import HistoryBuffer, MMLogger, print_log
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

from mmseg_fixkit.checkpoint.safe_globals import (
    GETATTR,
    HISTORY,
    METHODS,
    ONE_CYCLE,
    NotAllowedError,
    PlainArray,
    method_of,
    numpy_stand_ins,
)
from mmseg_fixkit.core.compat import has

#: At each read the fork of MMEngine gives torch a list of its own: ``getattr`` and NumPy's types
#: themselves, under the names of ours, and torch takes either by chance. Ours lacks slices.
_OWN_LIST = "get_torch_safe_globals"
_HISTORY_STATE = ("_log_history", "_count_history", "max_length")


class LoadedHistory(HistoryBuffer):
    """Takes the place of ``HistoryBuffer`` until its values are there; then it is one.

    The functions in the state, which would take the place of those of every log, are not taken.
    """

    stands_for = HISTORY

    def __init__(self) -> None:
        raise NotAllowedError(f"a call of {HISTORY}")

    def __setstate__(self, state: Any) -> None:
        """Take the values, their counts and how many are kept at most."""
        known = state if isinstance(state, dict) else {}
        values, counts, most = map(known.get, _HISTORY_STATE)
        if _length(values) is None or _length(values) != _length(counts):
            raise NotAllowedError(f"{HISTORY} without values and their counts")
        if type(most) is not int or most < 1:
            raise NotAllowedError(f"{HISTORY} without a length")
        HistoryBuffer.__init__(self, numpy.array(values), numpy.array(counts), most)
        self.__class__ = HistoryBuffer


def _length(values: Any) -> Optional[int]:
    return len(values) if type(values) is PlainArray and values.ndim == 1 else None


class ScheduleFunctions:
    """Takes the place of ``OneCycleParamScheduler``: the owner of two functions, nothing to make.

    Raises NotAllowedError when it is called.
    """

    stands_for = ONE_CYCLE

    def __new__(cls, *_: object) -> ScheduleFunctions:
        """Refuse to make one."""
        raise NotAllowedError(f"a call of {ONE_CYCLE}")


def stand_ins() -> dict[str, Any]:
    """Return what ``torch.load`` is given, by the name in the file."""
    schedule = {name: getattr(OneCycleParamScheduler, name) for name in METHODS[ONE_CYCLE]}
    unread = dict.fromkeys(METHODS[HISTORY])  # LoadedHistory does not take them
    return {
        HISTORY: LoadedHistory,
        ONE_CYCLE: ScheduleFunctions,
        GETATTR: method_of([(ScheduleFunctions, schedule), (LoadedHistory, unread)]),
        **numpy_stand_ins(),
    }


def allow_checkpoints() -> bool:
    """Give torch, once, what stands for the names in MMEngine's files; return whether it was new.

    Nothing is done, and nothing needed, where ``torch.load`` unpickles everything by default.
    """
    if not has("add_safe_globals with names") or not _missing():
        return False
    torch.serialization.add_safe_globals([(value, name) for name, value in stand_ins().items()])
    if hasattr(host, _OWN_LIST):
        setattr(host, _OWN_LIST, lambda: [slice])
    if _is_main():
        _report()
    return True


def _missing() -> bool:
    there = torch.serialization.get_safe_globals()
    return (LoadedHistory, HISTORY) not in there


def _report() -> None:
    text = (
        f"torch {torch.__version__} reads weights only; mmseg_fixkit has added the types that "
        "checkpoints of MMEngine also hold (logs of HistoryBuffer, numbers and arrays of NumPy), "
        "so that they can be loaded and resumed. A file that asks for anything else is refused"
    )
    if MMLogger._instance_dict:
        print_log(text, logger="current", level=logging.INFO)
    else:  # before any run; MMEngine would make a logger that writes to stdout
        print(text, file=sys.stderr)


def _is_main() -> bool:
    # The import may come before the processes know each other.
    ranks = [os.environ.get(name, "0") for name in ("RANK", "SLURM_PROCID")]
    return bool(is_main_process()) and all(rank == "0" for rank in ranks)

"""Lets MMEngine read its own checkpoints where torch unpickles weights only.

Since torch 2.6 ``torch.load`` refuses what it does not know, and MMEngine 0.10.7, which calls it
as it is, cannot read what it wrote: the logs in ``message_hub``. So torch is given
the few types that such files hold, and of nothing that could act; a file that asks for anything
else is refused as before.
"""

from __future__ import annotations

import logging
import os
import sys

import torch
from mmengine.dist import is_main_process
from mmengine.logging import HistoryBuffer, MMLogger, print_log
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.utils import digit_version

from mmseg_fixkit.checkpoint.safe_globals import ONE_CYCLE, safe_globals_for


class OneCycleMethods:
    """The functions of a ``OneCycleLR`` that its state names, without the scheduler itself."""

    stands_for = ONE_CYCLE
    _annealing_cos = staticmethod(OneCycleParamScheduler._annealing_cos)
    _annealing_linear = staticmethod(OneCycleParamScheduler._annealing_linear)


def allow_checkpoints() -> bool:
    """Give torch, once, the types that checkpoints of MMEngine hold; return whether any was new.

    Nothing is done, and nothing needed, where ``torch.load`` unpickles everything by default.
    """
    if digit_version(torch.__version__) < digit_version("2.6.0"):
        return False
    there = torch.serialization.get_safe_globals()
    missing = [g for g in safe_globals_for(HistoryBuffer, OneCycleMethods) if g not in there]
    if not missing:
        return False
    torch.serialization.add_safe_globals(missing)
    if _is_main():
        _report()
    return True


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

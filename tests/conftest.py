"""Settings that hold for all tests."""

from __future__ import annotations

import functools
import os
import signal
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Machines are shared: how long one example takes says nothing. CI takes the same examples each
# time.
settings.register_profile(
    "project",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("project")

# A shell starts what runs in the background with Ctrl-C ignored, and processes inherit that: tests
# of Ctrl-C would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_loading: weakref.WeakSet[Any] = weakref.WeakSet()


@pytest.fixture(autouse=True)
def _loaders_end_with_their_test() -> Iterator[None]:
    """End the workers of data loaders whose training has ended, by an error or not.

    A runner is a circle of references. Where the garbage collector finds it, the queues to the
    workers may be gone before the order to stop is sent, and torch waits five seconds for each.
    """
    _watch_loaders()
    yield
    for loading in list(_loading):
        loading._shutdown_workers()


def _watch_loaders() -> None:
    module = sys.modules.get("torch.utils.data.dataloader")
    if module is None or hasattr(module._MultiProcessingDataLoaderIter.__init__, "__wrapped__"):
        return
    begin = module._MultiProcessingDataLoaderIter.__init__

    @functools.wraps(begin)
    def watched(self: Any, *args: Any, **kwargs: Any) -> None:
        _loading.add(self)
        begin(self, *args, **kwargs)

    module._MultiProcessingDataLoaderIter.__init__ = watched

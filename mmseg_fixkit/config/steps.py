"""The steps of a data pipeline, at any depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmseg_fixkit.config.host import type_name
from mmseg_fixkit.core.diagnostics import KeyPath

#: Pipeline steps with their keys.
Steps = tuple[tuple[KeyPath, dict[str, Any]], ...]

#: Steps whose inner ``transforms`` are those of another library.
_FOREIGN = frozenset({"Albu"})


def steps_of(key: KeyPath, value: Any) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    """Yield the steps of a pipeline, and those inside ``TestTimeAug`` or ``RandomChoice``."""
    for index, step in enumerate(value if isinstance(value, (list, tuple)) else ()):
        here = (*key, index)
        if isinstance(step, dict):
            yield here, step
            if not is_step(step, *_FOREIGN):
                yield from steps_of((*here, "transforms"), step.get("transforms"))
        else:
            yield from steps_of(here, step)


def is_step(step: Any, *names: str) -> bool:
    """Whether ``step`` is a step of one of these types."""
    return isinstance(step, dict) and type_name(step.get("type", "")) in names

"""Label statistics <-> the JSON file that keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union

from mmseg_fixkit.core.files import write_file
from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.label_files.stats import (
    COUNTS,
    LabelStats,
    Offender,
    Problem,
    SplitStats,
    ordered_splits,
)

#: What the file says it is.
FORMAT = "mmseg-fixkit label statistics"
VERSION = 1

_Path = Union[str, Path]

#: Counts whose keys are words; those of the others are numbers.
_BY_WORD = ("shapes", "modes", "formats")


def save_stats(stats: LabelStats, path: _Path) -> None:
    """Write statistics to a JSON file, in one step.

    Raises:
        FixkitError: it cannot be written.
    """
    text = json.dumps(stats_to_json(stats), indent=1)
    write_file(path, f"{text}\n")


def load_stats(path: _Path) -> LabelStats:
    """Return the statistics in a file that :func:`save_stats` wrote.

    Raises:
        FixkitError: it cannot be read, or is something else.
    """
    try:
        tree = json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise FixkitError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise no_stats(path) from None
    return stats_from_json(tree, path)


def are_stats(path: str) -> bool:
    """Whether a file is meant to hold statistics: any ``.json`` that is not a config in JSON."""
    if not path.endswith(".json"):
        return False
    try:
        tree = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError):
        return True
    is_config = (
        isinstance(tree, dict) and "format" not in tree and tree.keys() & {"model", "_base_"}
    )
    return not is_config


def no_stats(path: _Path) -> FixkitError:
    """Return what to say of a file that holds something else."""
    return FixkitError(
        f"{path} holds no label statistics; write them with `mmseg-fix scan CONFIG|DIR` and its "
        "option to save them"
    )


def stats_to_json(stats: LabelStats) -> dict[str, Any]:
    """Return statistics as JSON knows them."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "source": stats.source,
        "classes": stats.classes,
        "palette": stats.palette,
        "ignore_index": stats.ignore_index,
        "reduce_zero_label": stats.reduce_zero_label,
        "splits": {name: _split_to_json(split) for name, split in stats.splits.items()},
    }


def _split_to_json(split: SplitStats) -> dict[str, Any]:
    pairs = [[*pair, files] for pair, files in sorted(split.together.items())]
    counts = {name: dict(sorted(getattr(split, name).items())) for name in COUNTS}
    return {
        "files": split.files,
        "reading": split.reading,
        **counts,
        "together": pairs,
        "problems": {name: _problem_to_json(p) for name, p in sorted(split.problems.items())},
    }


def _problem_to_json(problem: Problem) -> dict[str, Any]:
    return {
        "files": problem.files,
        "pixels": problem.pixels,
        "values": dict(sorted(problem.values.items())),
        "worst": [vars(offender) for offender in problem.worst],
    }


def stats_from_json(tree: Any, path: _Path = "") -> LabelStats:
    """Return the statistics that :func:`stats_to_json` turned into a tree.

    Args:
        tree: of what JSON knows.
        path: where it comes from, for messages.

    Raises:
        FixkitError: it is something else.
    """
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        raise no_stats(path)
    if tree.get("version") != VERSION:
        raise FixkitError(
            f"{path} has version {tree.get('version')} of label statistics, but this release reads "
            f"version {VERSION}; scan again"
        )
    try:
        return _stats(tree)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FixkitError(
            f"{path} holds damaged label statistics ({error!r}); scan again"
        ) from None


def _stats(tree: Mapping[str, Any]) -> LabelStats:
    classes, palette = tree["classes"], tree["palette"]
    splits = {str(name): _split(split) for name, split in tree["splits"].items()}
    return LabelStats(
        str(tree["source"]),
        ordered_splits(splits),
        None if classes is None else tuple(map(str, classes)),
        None if palette is None else tuple((int(r), int(g), int(b)) for r, g, b in palette),
        int(tree["ignore_index"]),
        bool(tree["reduce_zero_label"]),
    )


def _split(tree: Mapping[str, Any]) -> SplitStats:
    together = {(int(a), int(b)): int(files) for a, b, files in tree["together"]}
    counts = {n: _counts(tree[n], n in _BY_WORD) for n in COUNTS if n != "together"}
    problems = {str(name): _problem(found) for name, found in tree["problems"].items()}
    return SplitStats(
        int(tree["files"]),
        **counts,
        together=together,
        problems=problems,
        reading=str(tree["reading"]),
    )


def _counts(tree: Mapping[str, Any], by_word: bool = False) -> dict[Any, int]:
    return {key if by_word else int(key): int(count) for key, count in tree.items()}


def _problem(tree: Mapping[str, Any]) -> Problem:
    worst = tuple(_offender(**offender) for offender in tree["worst"])
    return Problem(int(tree["files"]), int(tree["pixels"]), _counts(tree["values"]), worst)


def _offender(file: str, pixels: int, values: Any, text: str) -> Offender:
    pairs = tuple((int(value), int(count)) for value, count in values)
    return Offender(str(file), int(pixels), pairs, str(text))

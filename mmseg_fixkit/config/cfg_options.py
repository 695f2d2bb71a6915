"""FixPlan -> ``--cfg-options`` of MMEngine's training scripts, proved by MMEngine's own parser."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from mmseg_fixkit.config.lazy_import import qualified, with_texts
from mmseg_fixkit.config.plan import FixPlan
from mmseg_fixkit.config.tree import ABSENT, differences, plain, same
from mmseg_fixkit.core.diagnostics import KeyPath, format_key, parse_key
from mmseg_fixkit.core.errors import FixkitError

FLAG = "--cfg-options"


def render_cfg_options(plan: FixPlan, new_style: bool = False) -> str:
    """Return ``--cfg-options key=value …``, quoted for a shell; empty where nothing changes.

    Types that a new-style config imports are named in full.

    Raises:
        FixkitError: a change cannot be written in that form: dicts in lists (pipelines, hooks),
            keys that are taken out, texts with commas or blanks. Nothing is left out silently.
    """
    before, after = plan.before, plan.after
    if new_style:
        before, after = (with_texts(qualified(tree)) for tree in (before, after))
    options = [f"{format_key(k)}={_value(k, v)}" for k, v in _changes(before, after)]
    if not options:
        return ""
    _prove(before, after, options)
    return " ".join([FLAG, *(shlex.quote(option) for option in options)])


def _changes(before: dict[str, Any], after: dict[str, Any]) -> Iterator[tuple[KeyPath, Any]]:
    """Yield each changed leaf; a tuple counts as one, as MMEngine cannot write into it."""
    seen: set[KeyPath] = set()
    for key, _, new in differences(before, after):
        if new is ABSENT:
            raise _cannot(key, "is taken out")
        whole, value = _outermost_tuple(after, key, new)
        if whole not in seen:
            seen.add(whole)
            yield from _leaves(whole, value)


def _outermost_tuple(tree: Any, key: KeyPath, value: Any) -> tuple[KeyPath, Any]:
    for length, part in enumerate(key):
        if isinstance(tree, tuple):
            return key[:length], tree
        tree = tree[part]
    return key, value


def _leaves(key: KeyPath, value: Any) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, dict) and value:
        for name, child in value.items():
            yield from _leaves((*key, name), child)
    else:
        yield key, value


def _value(key: KeyPath, value: Any) -> str:
    if isinstance(value, dict):
        raise _cannot(key, "holds a dict")
    if isinstance(value, (list, tuple)):
        opening, closing = "[]" if isinstance(value, list) else "()"
        return opening + ",".join(_value(key, child) for child in value) + closing
    return str(value)


def _prove(before: dict[str, Any], after: dict[str, Any], options: list[str]) -> None:
    """Let MMEngine read the options and merge them, as ``tools/train.py`` does."""
    from mmengine.config import Config, DictAction

    parser = ArgumentParser()
    parser.add_argument(FLAG, nargs="+", action=DictAction)
    config = Config(plain(before))
    for option in options:
        try:
            config.merge_from_dict(parser.parse_args([FLAG, option]).cfg_options)
        except Exception as error:  # what stands there takes no such key
            key = parse_key(option.partition("=")[0])
            raise _cannot(key, f"stops MMEngine: {error}") from None
    merged = plain(config._cfg_dict)
    for key, found, _ in differences(merged, after):
        raise _cannot(key, f"would be read as {found!r}")
    assert same(merged, after)


def _cannot(key: KeyPath, why: str) -> FixkitError:
    return FixkitError(
        f"{FLAG} cannot say the change of {format_key(key)}: it {why}; write a file instead, or "
        "leave the guards out with --no-guards if it is theirs"
    )

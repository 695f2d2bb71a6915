"""``mmseg-fix weights``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import click

from mmseg_fixkit.cli import console
from mmseg_fixkit.cli.options import class_options
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import expanded, is_folder
from mmseg_fixkit.datasets.class_weights import METHODS

if TYPE_CHECKING:
    from mmseg_fixkit.datasets.class_weights import ClassCounts
    from mmseg_fixkit.datasets.listing import Inventory, LabelOverrides
    from mmseg_fixkit.datasets.stats import LabelStats

TRAINING = "train"


@click.command()
@click.argument("source", metavar="CONFIG|DIR|STATS.json")
@click.option(
    "--method",
    type=click.Choice(tuple(METHODS)),
    default=next(iter(METHODS)),
    show_default=True,
    help="The formula; the docs say how to choose.",
)
@click.option("--all-methods", is_flag=True, help="Compare all methods in one table.")
@click.option("--clip", metavar="LEAST,LARGEST", help="Bounds of the weights: 0.1,10.")
@click.option("--split", metavar="SPLIT", help="Whose label files count (default: train).")
@class_options(palette=False)
@click.option(
    "--query-head/--no-query-head",
    default=None,
    help="Add the weight of 'no object' as number N + 1 (default: as the heads of CONFIG need it).",
)
@click.option("--jobs", metavar="N", type=click.IntRange(min=1), help="How many workers.")
@click.option("--no-cache", is_flag=True, help="Read every file again.")
@click.option(
    "--output-format",
    type=click.Choice(["text", "json", "list"]),
    default="text",
    show_default=True,
    help="How to print them; list is what patch --class-weight takes.",
)
def weights(
    source: str,
    method: str,
    all_methods: bool,
    clip: Optional[str],
    split: Optional[str],
    query_head: Optional[bool],
    output_format: str,
    **scanning: Any,
) -> None:
    """Compute class weights from label files: the rarer a class, the more it weighs.

    Reads the training labels as the pipeline of CONFIG does, or those of a folder, or takes the
    statistics that `mmseg-fix scan --save` wrote. For a config with a query head the weight of
    "no object" is added. `mmseg-fix patch --class-weight METHOD` does the same and writes the
    weights into the config.

    Exit codes: 0 printed, 2 not computed.
    """
    from mmseg_fixkit.datasets.class_weights import class_counts, class_weights, remarks, rounded

    if all_methods and output_format == "list":
        raise FixkitError("--output-format list prints one method; leave --all-methods out")
    bounds = _clip(clip)
    stats, of_config = _stats(source, split, **scanning)
    counts = class_counts(stats, split)
    last = _no_object(of_config, query_head)
    table = {
        name: rounded([*class_weights(stats, name, split=split, clip=bounds), *last])
        for name in (METHODS if all_methods else [method])
    }
    for text in remarks(counts, table[method], queries=bool(last)):
        console.note(text)
    click.echo(_shown(counts, table, output_format), nl=False)


def _clip(text: Optional[str]) -> Optional[tuple[float, float]]:
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise FixkitError(f"--clip is {text!r}, but two numbers are needed: 0.1,10") from None
    return low, high


def _no_object(of_config: Optional[float], asked: Optional[bool]) -> list[float]:
    """Return the weight of "no object", alone or not at all."""
    from mmseg_fixkit.config.host import NO_OBJECT_WEIGHT

    wanted = of_config is not None if asked is None else asked
    weight = NO_OBJECT_WEIGHT if of_config is None else of_config
    return [weight] if wanted else []


def _stats(
    source: str,
    split: Optional[str],
    *,
    jobs: Optional[int],
    no_cache: bool,
    labels: Optional[Sequence[str]],
    ignore_index: Optional[int],
    reduce_zero_label: Optional[bool],
) -> tuple[LabelStats, Optional[float]]:
    """Return the statistics, and the weight of "no object" in a config with query heads."""
    from mmseg_fixkit.datasets.scan_files import label_overrides
    from mmseg_fixkit.datasets.stats import are_stats

    asked = label_overrides(labels, None, ignore_index, reduce_zero_label)
    if are_stats(source):
        return _saved(source, asked), None
    name, inventory, no_object = _listed(source, split, asked)
    return _scanned(name, inventory, jobs, cache=not no_cache), no_object


def _scanned(name: str, inventory: Inventory, jobs: Optional[int], *, cache: bool) -> LabelStats:
    from mmseg_fixkit.cli.scan import progress_bar
    from mmseg_fixkit.datasets.scan_files import scan_inventory

    for text in inventory.notes:
        console.note(text)
    with progress_bar("Scanning", inventory) as progress:
        return scan_inventory(name, inventory, jobs=jobs, cache=cache, progress=progress)


def _saved(source: str, asked: LabelOverrides) -> LabelStats:
    from mmseg_fixkit.datasets.stats import load_stats

    stats = load_stats(Path(source))
    if asked.ignore_index is not None or asked.reduce_zero_label is not None:
        raise FixkitError(
            f"{source} was read with ignore_index={stats.ignore_index} and "
            f"reduce_zero_label={stats.reduce_zero_label}; scan again to read it in another way"
        )
    if stats.classes and asked.classes not in (None, stats.classes):
        raise FixkitError(
            f"{source} has the classes {', '.join(stats.classes)}, but you give "
            f"{', '.join(asked.classes or ())}; scan again with those"
        )
    return replace(stats, classes=stats.classes or asked.classes)


def _listed(
    source: str, split: Optional[str], asked: LabelOverrides
) -> tuple[str, Inventory, Optional[float]]:
    """Return the label files of one split."""
    from mmseg_fixkit.datasets.from_config import of_config
    from mmseg_fixkit.datasets.listing import of_folder

    folder = str(expanded(source))
    if is_folder(folder):
        wanted = None if split is None else (split,)
        return source, _training(of_folder(folder, splits=wanted, asked=asked)), None
    from mmseg_fixkit.config.load import load
    from mmseg_fixkit.rules.loss_weights import no_object_weight

    document = load(source)
    inventory = of_config(document, (split or TRAINING,), asked)
    return document.name, inventory, no_object_weight(document)


def _training(inventory: Inventory) -> Inventory:
    """Leave out the other splits of a folder that has one for training."""
    parts = tuple(part for part in inventory.parts if part.source.split == TRAINING)
    return replace(inventory, parts=parts or inventory.parts)


def _shown(counts: ClassCounts, table: Mapping[str, Sequence[float]], output_format: str) -> str:
    from mmseg_fixkit.cli.output.class_weights import weights_list, weights_record, weights_text
    from mmseg_fixkit.cli.output.json import json_text

    if output_format == "json":
        return json_text(weights_record(counts, table))
    return weights_list(table) if output_format == "list" else weights_text(counts, table)

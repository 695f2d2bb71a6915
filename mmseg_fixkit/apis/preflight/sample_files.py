"""Some label files of each split, spread over all of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from mmseg_fixkit.datasets.listing import Inventory, Part, files_of

#: Label files of a dataset that are read.
SAMPLE = 64

_LISTED = 20_000  # names of a dataset that are looked at to choose from


def sampled(inventory: Inventory, most: int = SAMPLE) -> tuple[Inventory, bool]:
    """Return an inventory of at most ``most`` files a dataset, and whether it is all of them."""
    parts = tuple(_thinned(part, most) for part in inventory.parts)
    return replace(inventory, parts=parts), parts == inventory.parts


def _thinned(part: Part, most: int) -> Part:
    listed = sum(1 for _ in islice(files_of(part.source), _LISTED))
    if listed <= most or part.source.indices is not None:
        return part
    places = [index * listed // most for index in range(most)]
    return replace(part, source=replace(part.source, indices=places))

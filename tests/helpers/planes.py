"""Planes of labels, as PaddleSeg stores them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmseg_fixkit.datasets.label_bits import IGNORED, Map, unpack


def planes_in(packed: Map, labels: int) -> NDArray[np.uint8]:
    """Return planes of 0 and 1 (L, H, W), 255 where the map is ignored."""
    planes, ignored = unpack(packed, labels)
    written = planes.astype(np.uint8)
    written[:, ignored] = IGNORED
    return written


def joined(planes: NDArray[Any]) -> NDArray[Any]:
    """Put planes (L, H, W) side by side: (H, L * W)."""
    return np.concatenate(list(planes), axis=1)

"""Small datasets with one thing wrong, for the tests of ``scan``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Optional

import numpy as np
from PIL import Image

Array = np.ndarray

SIZE = (48, 64)


def areas(labels: Iterable[int], size: tuple[int, int] = SIZE, seed: int = 0) -> Array:
    """Return a label map of areas, one or more for each label, as real ones have them."""
    rng = np.random.default_rng(seed)
    names = np.array(list(labels))
    centres = rng.uniform(0, 1, (max(3 * len(names), 8), 2)) * size
    owner = np.concatenate([names, rng.choice(names, len(centres) - len(names))])
    places = np.stack(np.mgrid[: size[0], : size[1]], -1)[..., None, :]
    nearest = ((places - centres) ** 2).sum(-1).argmin(-1)
    return owner[nearest].astype(np.int32)


def save(label: Array, path: Path, mode: str = "", **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    dtype = np.uint16 if label.max() > 255 else np.uint8
    picture = Image.fromarray(label.astype(dtype))
    (picture.convert(mode) if mode else picture).save(path, **options)


def dataset(
    root: Path,
    classes: int,
    *,
    files: int = 6,
    label_of: Optional[Callable[[int], Array]] = None,
    splits: tuple[str, ...] = ("train", "val"),
    image_size: tuple[int, int] = SIZE,
) -> Path:
    """Write ``img/SPLIT/N.jpg`` and ``ann/SPLIT/N.png``; all classes occur in each split."""
    for number, split in enumerate(splits):
        for place in range(files):
            seed = 100 * number + place
            label = label_of(seed) if label_of else areas(range(classes), seed=seed)
            save(label, root / "ann" / split / f"{place}.png")
            image = root / "img" / split / f"{place}.jpg"
            image.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", image_size[::-1], (seed % 255, 90, 90)).save(image)
    return root


def config(root: Path, classes: Any, **options: Any) -> Path:
    """Write the config of :func:`dataset`."""
    names = tuple(f"class_{i}" for i in range(classes)) if isinstance(classes, int) else classes
    path = root / "config.py"
    steps = options.pop("steps", "dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')")
    meta = options.pop("palette", None)
    palette = f", palette={meta!r}" if meta else ""
    extra = "".join(f", {name}={value!r}" for name, value in options.items())
    lines = ["model = dict(type='EncoderDecoder')"]
    for split in ("train", "val"):
        if (root / "img" / split).exists():
            lines.append(
                f"{split}_dataloader = dict(dataset=dict(type='BaseSegDataset', "
                f"data_root={str(root)!r}, metainfo=dict(classes={names!r}{palette}), "
                f"data_prefix=dict(img_path='img/{split}', seg_map_path='ann/{split}'), "
                f"pipeline=[{steps}]{extra}))"
            )
    path.write_text("\n".join(lines) + "\n")
    return path

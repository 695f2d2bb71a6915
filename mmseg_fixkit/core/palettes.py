"""Colours of well-known datasets, and which of them explains the colours of a label file.

They are written here because a plain folder is scanned without MMSegmentation;
``tests/core/test_palettes.py`` holds them against the host's tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.labels import Color, voc_palette

_HEX = re.compile(r"#?([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")
_RGB = re.compile(r"(\d{1,9})(?:\s*,\s*|\s+)(\d{1,9})(?:\s*,\s*|\s+)(\d{1,9})")

#: Share of the pixels that a palette has to explain to be named.
EXPLAINS = 0.9


@dataclass(frozen=True)
class Palette:
    """The colours of some classes."""

    name: str  # whose they are, with an article where it needs one
    colors: tuple[Color, ...]  # one for each class, in the order of labels
    ignored: tuple[Color, ...] = ()  # colours of pixels that are no class

    def labels(self, ignore_index: int = 255) -> dict[int, int]:
        """Return packed colour -> label; of two classes with one colour, the first."""
        table = {pack(color): ignore_index for color in self.ignored}
        pairs = reversed(list(enumerate(self.colors)))
        return {**table, **{pack(color): label for label, color in pairs}}

    @property
    def duplicates(self) -> Iterator[tuple[Color, tuple[int, ...]]]:
        """The colours that several classes have, with their labels."""
        places: dict[Color, list[int]] = {}
        for label, color in enumerate(self.colors):
            places.setdefault(color, []).append(label)
        return ((c, tuple(labels)) for c, labels in places.items() if len(labels) > 1)


@dataclass(frozen=True)
class PaletteMatch:
    """How much of some colours a palette explains."""

    palette: Palette
    share: float  # of the pixels
    left: tuple[int, ...]  # packed colours that it does not have, most frequent first


def pack(color: Iterable[int]) -> int:
    """Return ``0xRRGGBB``."""
    red, green, blue = color
    return red << 16 | green << 8 | blue


def unpack(packed: int) -> Color:
    """Return the three parts of ``0xRRGGBB``."""
    return packed >> 16 & 255, packed >> 8 & 255, packed & 255


def as_hex(packed: int) -> str:
    """Return ``0xRRGGBB`` as people write it: ``#rrggbb``."""
    return f"#{packed & 0xFFFFFF:06x}"


def parse_color(text: str) -> Color:
    """Read ``128,64,128``, ``128 64 128`` or ``#804080``; raise ``FixkitError`` for all else."""
    for pattern, base in ((_HEX, 16), (_RGB, 10)):
        match = pattern.fullmatch(text.strip())
        if match:
            red, green, blue = (int(part, base) for part in match.groups())
            return (red, green, blue)
    raise FixkitError(f"{text.strip()!r} is no colour; write 128,64,128 or #804080")


def pack_image(colors: Any) -> Any:
    """Return ``0xRRGGBB`` for each pixel of an ``(H, W, C)`` array, as ``(H, W)`` of ``uint32``.

    Taken are colours, red first, or grey; alpha is left out. Of parts wider than 8 bit the low byte
    counts, as after the host's cast.
    """
    import numpy as np  # the command line reads colours without it

    words = np.zeros((*colors.shape[:2], 4), np.uint8)
    for part, channel in enumerate((0, 1, 2) if colors.shape[2] > 2 else (0, 0, 0)):
        words[:, :, 2 - part] = colors[:, :, channel]
    return words.view("<u4")[:, :, 0]


def is_grey(packed: int) -> bool:
    """Whether the three parts are equal."""
    red, green, blue = unpack(packed)
    return red == green == blue


def _parsed(text: str) -> tuple[Color, ...]:
    return tuple(unpack(int(text[i : i + 6], 16)) for i in range(0, len(text), 6))


#: The 19 classes by train id, and what ``*_gtFine_color.png`` has besides: cityscapesScripts,
#: ``helpers/labels.py`` (Cordts et al., 2016).
CITYSCAPES = Palette(
    "Cityscapes",
    _parsed(
        "804080f423e846464666669cbe9999999999faaa1edcdc006b8e2398fb984682b4dc143cff000000008e"
        "000046003c640050640000e6770b20"
    ),
    _parsed("0000006f4a00510051faaaa0e6968cb4a5b496646496785a00005a00006e"),
)

#: The 150 classes of MMSegmentation 1.2.2, ``ADE20KDataset`` (Zhou et al., 2017). Two of
#: them share a colour.
ADE20K = Palette(
    "ADE20K",
    _parsed(
        "787878b4787806e6e650323204c8037878508c8c8ccc05ffe6e6e604fa07e005ffebff0796053d787846"
        "08ff33ff06528fff8cccff04ff3307cc46030066c83de6faff06330b66ffff0747ff09e00907e6dcdcdc"
        "ff095c7009ff08ffd607ffe0ffb8060aff47ff290a07ffffe0ff086608ffff3d06ffc207ff7a0800ff14"
        "ff0829ff05990633ffeb0cffa0961400a3ff8c8c8cfa0a0f14ff001fff00ff1f00ffe00099ff000000ff"
        "ff470000ebff00adff1f00ff0bc8c8ff520000fff5003dff00ff7000ff85ff0000ffa300ff6600c2ff00"
        "008fff33ff000052ff00ff2900ffad0a00ffadff0000ff99ff5c00ff00ffff00f5ff0066ffad00ff0014"
        "ffb8b8001fff00ff3d0047ffff00cc00ffc200ff52000aff0070ff3300ff00c2ff007aff00ffa3ff9900"
        "00ff0aff70008fff005200ffa3ff00ffeb0008b8aa8500ff00ff5cb800ffff001f00b8ff00d6ffff0070"
        "5cff0000e0ff70e0ff46b8a0a300ff9900ff47ff00ff00a3ffcc00ff008f00ffeb85ff00ff00ebf500ff"
        "ff007afff5000abed4d6ff0000ccff1400ffffff000099ff0029ff00ffcc2900ff29ff00ad00ff00f5ff"
        "4700ff7a00ff00ffb8005cffb8ff000085ffffd60019c2c266ff005c00ff"
    ),
    ((0, 0, 0),),
)

#: 20 classes after the background; their borders have a colour of their own.
VOC = Palette("PASCAL VOC", voc_palette(21), ((224, 224, 192),))

KNOWN = (CITYSCAPES, ADE20K, VOC)


def candidates(own: Optional[tuple[Color, ...]]) -> tuple[Palette, ...]:
    """Return the palettes to try: that of the config or the user first, if there is one."""
    given = (Palette("the palette of these classes", own),) if own else ()
    return given + KNOWN


def best_match(colors: Mapping[int, int], palettes: Iterable[Palette]) -> Optional[PaletteMatch]:
    """Return the palette that explains the most pixels; of two, the one that comes first.

    ``colors`` holds the number of pixels by packed colour.
    """
    matches = [_match(colors, palette) for palette in palettes]
    return max(matches, key=lambda match: match.share, default=None)


def _match(colors: Mapping[int, int], palette: Palette) -> PaletteMatch:
    table = palette.labels()
    left = sorted((c for c in colors if c not in table), key=lambda c: (-colors[c], c))
    total = sum(colors.values())
    missed = sum(colors[c] for c in left)
    return PaletteMatch(palette, (total - missed) / total if total else 0.0, tuple(left))

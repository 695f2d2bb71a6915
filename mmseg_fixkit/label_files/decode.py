"""The bytes of a label file -> its values as the pipeline's decoder gives them.

The host decodes with ``mmcv.imfrombytes(content, flag="unchanged", backend=imdecode_backend)``.
What Pillow would give may come from a faster library, chosen by what the file's header says; the
result is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from io import BytesIO
from typing import Any, Callable, NamedTuple, Optional

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.label_files.headers import PngHeader, png_chunks, png_header, png_pixels
from mmseg_fixkit.label_files.inflate import fill

Array = NDArray[Any]

#: Modes of colour files by their channels, for decoders that do not name them.
_MODES = {2: "LA", 3: "RGB", 4: "RGBA"}
_MODES_OF_MAPS = {"bool": "1", "uint8": "L", "uint16": "I;16", "float32": "F", "float64": "F"}


@dataclass(frozen=True)
class Decoded:
    """The pixels of a file.

    Args:
        array: ``(H, W)`` values, or ``(H, W, C)`` colours with red first.
        mode: as Pillow names it.
        format: likewise.
        palette: red, green, blue of each index; empty for files without a palette.
    """

    array: Array
    mode: str
    format: str
    palette: bytes = b""


def decode(data: bytes, backend: str = "pillow") -> Decoded:
    """Return the pixels of a file, as mmcv's decoder of that name gives them.

    Args:
        data: the file.
        backend: what ``imdecode_backend`` names: pillow, cv2 or tifffile.

    Raises:
        Exception: whatever the decoder raises where it cannot.
    """
    return _DECODERS[backend](data)


def check_backend(backend: str) -> None:
    """Make sure that files can be decoded as ``imdecode_backend`` says.

    Raises:
        FixkitError: there is no such decoder, or it is not installed.
    """
    if backend not in _DECODERS:
        known = ", ".join(_DECODERS)
        raise FixkitError(
            f"imdecode_backend is {backend!r}, but label maps can be decoded by {known} "
            "(mmcv.imfrombytes with flag='unchanged')"
        )
    if _installed(_NEEDS[backend]) is None:
        raise FixkitError(
            f"imdecode_backend is {backend!r}, but {_NEEDS[backend]} is not installed here; "
            "training needs it too"
        )


# --- as Pillow ----------------------------------------------------------------------------------


def _as_pillow(data: bytes) -> Decoded:
    header = png_header(data)
    fast = None if header is None else _fast_png(data, header)
    return fast or _pillow(data)


def _pillow(data: bytes) -> Decoded:
    with Image.open(BytesIO(data)) as image:
        array = np.array(image)
        palette = bytes(image.getpalette("RGB") or ()) if image.mode == "P" else b""
        if array.ndim == 3 and image.mode not in ("RGB", "RGBA", "LA"):
            array = np.array(image.convert("RGB"))
        return Decoded(array, image.mode, image.format or "", palette)


def _fast_png(data: bytes, header: PngHeader) -> Optional[Decoded]:
    """Return the pixels of an ordinary PNG file; None where only Pillow can tell."""
    mode = _MODES_OF_PNG.get((header.depth, header.color))
    if mode is None or not header.plain or not _is_reasonable(header):
        return None
    pixels = png_pixels(data, header)
    decoder = fastest_png(header.depth, indices=mode == "P")
    try:
        array: Any = decoder(data, header, pixels) if pixels else None
        palette = _palette(data) if mode == "P" else b""
    except Exception:  # Pillow says what is wrong, or reads it all the same
        return None
    if np.shape(array) != (header.height, header.width):
        return None
    return Decoded(array, mode, "PNG", palette)


def _is_reasonable(header: PngHeader) -> bool:
    limit = Image.MAX_IMAGE_PIXELS
    pixels = header.width * header.height
    return pixels > 0 and (limit is None or pixels <= limit)


def _palette(data: bytes) -> bytes:
    return next(content for name, content in png_chunks(data, 8) if name == b"PLTE")


#: Bit depth and colour type of the PNG files that are decoded without all that Pillow does around
#: it -> the mode that it gives them.
_MODES_OF_PNG = {(8, 0): "L", (16, 0): "I;16", (8, 3): "P"}


def _by_pillow(data: bytes, header: PngHeader, pixels: list[bytes]) -> Array:
    """Let Pillow's decoder write right into an array: a tenth faster than OpenCV, and no copies."""
    array, image, raw = _blank(header)
    image.frombytes(b"".join(pixels), "zip", raw, 0)
    return array


def _by_isal(isal: Any) -> Decoder:
    """Let isal inflate what Pillow's decoder then puts together: another tenth faster."""

    def decoder(data: bytes, header: PngHeader, pixels: list[bytes]) -> Array:
        array, image, raw = _blank(header)
        fill(image, b"".join(pixels), raw, isal)
        return array

    return decoder


def _blank(header: PngHeader) -> tuple[Array, Image.Image, str]:
    """Return an array, an image that has it for its memory, and how its file stores samples."""
    kind, mode, raw = (np.uint8, "L", "L") if header.depth == 8 else (np.uint16, "I;16", "I;16B")
    array: Array = np.empty((header.height, header.width), kind)
    size = header.width, header.height
    return array, Image.frombuffer(mode, size, array.view(np.uint8), "raw", mode, 0, 1), raw


Decoder = Callable[[bytes, PngHeader, list[bytes]], Any]


def _of_file(decode_file: Callable[[bytes], Any]) -> Decoder:
    return lambda data, header, pixels: decode_file(data)


class Library(NamedTuple):
    """What decodes grey PNG files.

    Args:
        name: of the module.
        depths: the bit depths that it keeps.
        indices: whether it gives those of a palette file, and not its colours.
        decoder: how, once the module is imported.
    """

    name: str
    depths: tuple[int, ...]
    indices: bool
    decoder: Callable[[Any], Decoder]


#: The fastest first.
LIBRARIES = (
    Library("imagecodecs", (8, 16), False, lambda module: _of_file(module.png_decode)),
    Library("pyspng", (8,), False, lambda module: _of_file(module.load)),
    Library("isal.isal_zlib", (8, 16), True, _by_isal),
    Library("PIL", (8, 16), True, lambda module: _by_pillow),
)


@cache
def fastest_png(depth: int = 8, indices: bool = False) -> Decoder:
    """Return what decodes grey PNG files of a bit depth fastest of what is installed.

    Args:
        depth: of the files.
        indices: whether they have a palette.
    """
    for library in LIBRARIES:
        if depth in library.depths and library.indices >= indices:
            module = _installed(library.name)
            if module is not None and _works(library.decoder(module), depth):
                return library.decoder(module)
    return _by_nothing


def _by_nothing(data: bytes, header: PngHeader, pixels: list[bytes]) -> None:
    """Leave a file to Pillow as a whole."""


def _works(decoder: Decoder, depth: int) -> bool:
    """Whether a library that may have any version decodes a file as it should."""
    array = np.arange(12, dtype=np.uint8 if depth == 8 else ">u2").reshape(3, 4)
    file = BytesIO()
    Image.fromarray(array.astype(array.dtype.newbyteorder("="))).save(file, "PNG")
    data = file.getvalue()
    header = png_header(data)
    try:
        return header is not None and np.array_equal(
            decoder(data, header, png_pixels(data, header)), array
        )
    except Exception:
        return False


def _installed(name: str) -> Any:
    """Return a module; None where it is not installed, or broken."""
    try:
        return import_module(name)
    except Exception:
        return None


# --- as the others ------------------------------------------------------------------------------


def _as_opencv(data: bytes) -> Decoded:
    import cv2

    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None:
        _pillow(data)  # it may say why
        raise ValueError("OpenCV cannot decode it, though Pillow can")
    mode, kind = _name(data)
    if array.ndim == 2:
        return Decoded(array, mode if mode in ("1", "L") else _mode(array), kind)
    return Decoded(array[:, :, [2, 1, 0, 3][: array.shape[2]]], mode or _mode(array), kind)


def _name(data: bytes) -> tuple[str, str]:
    """Return mode and format of a file as Pillow names them; empty where it does not know it."""
    try:
        with Image.open(BytesIO(data)) as image:
            return image.mode, image.format or ""
    except Exception:
        return "", ""


def _as_tifffile(data: bytes) -> Decoded:
    import tifffile

    array = tifffile.imread(BytesIO(data)).squeeze()
    return Decoded(array, _mode(array), "TIFF")


def _mode(array: Array) -> str:
    if array.ndim == 3:
        return _MODES.get(array.shape[2], f"{array.shape[2]} channels")
    return _MODES_OF_MAPS.get(array.dtype.name, "I")


_DECODERS: dict[str, Callable[[bytes], Decoded]] = {
    "pillow": _as_pillow,
    "cv2": _as_opencv,
    "tifffile": _as_tifffile,
}
_NEEDS = {"pillow": "PIL", "cv2": "cv2", "tifffile": "tifffile"}

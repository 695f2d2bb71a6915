"""``export``: config and checkpoint -> a checked ONNX file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import torch

from mmseg_fixkit import __version__
from mmseg_fixkit.apis.adapt import PathLike
from mmseg_fixkit.apis.export_graph import OUTPUTS, Exported, Form, form_of
from mmseg_fixkit.apis.inference import init_model
from mmseg_fixkit.apis.onnx_file import INPUT, WAYS, Compared, Way, compare, describe, need, write
from mmseg_fixkit.config.load import ConfigLike
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import check_target, replacing

Size = tuple[int, int]

_DEFAULT: Size = (512, 512)
_STEP = 32  # heights and widths that every backbone takes


@dataclass(frozen=True)
class ExportReport:
    """What was exported.

    Args:
        path: the file.
        form: what it gives.
        size: ``(H, W)`` of the picture that it was written with.
        way: how it was written.
        compared: how it was checked.
        failed: the ways that were tried before, and why they would not do.
        notes: what the user should know.
    """

    path: Path
    form: Form
    size: Size
    way: Way
    compared: Compared
    failed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def input_shape(self) -> str:
        """The shape of the input: ``(batch, 3, height, width)``, or numbers."""
        height, width = self.size
        if not self.way.dynamic:
            return f"(1, 3, {height}, {width})"
        return f"({1 if self.way.dynamo else 'batch'}, 3, height, width)"


def export(
    config: ConfigLike,
    checkpoint: PathLike,
    path: PathLike,
    *,
    output: str = "labels",
    keep_background: bool = False,
    size: Optional[Size] = None,
    overwrite: bool = False,
    trust: bool = False,
) -> ExportReport:
    """Write a model to an ONNX file that was run and compared before it is left in place.

    Args:
        config: a path, a zoo name or a ``mmengine.Config``.
        checkpoint: a file with its weights.
        path: the file to write.
        output: ``'labels'`` or ``'scores'``.
        keep_background: whether the background of a multi-label model is an output too.
        size: ``(H, W)`` to fix; where left out, any size if the model allows.
        overwrite: whether an existing file may be replaced.
        trust: whether the checkpoint may run whatever it asks for.

    Raises:
        FixkitError: a package is missing, the file is there already, the model cannot be built,
            or no file could be written that gives what PyTorch gives. Nothing is written then.
    """
    target = Path(path)
    _check(target, output, overwrite)
    for package in ("onnx", "onnxruntime"):
        need(package)
    model: Any = init_model(config, checkpoint, trust=trust)
    form = form_of(model, output, keep_background=keep_background)
    module = Exported(model, form).eval()
    shape = size or _size(model)
    with replacing(target) as temporary:
        way, compared, failed = _write(module, form, shape, temporary, fixed=size is not None)
        describe(temporary, _metadata(model, form))
    return ExportReport(target, form, shape, way, compared, failed, _notes(model, way, size))


def _check(target: Path, output: str, overwrite: bool) -> None:
    if output not in OUTPUTS:
        raise FixkitError(f"output is {output!r}, but one of {', '.join(OUTPUTS)} is needed")
    if target.suffix != ".onnx":
        raise FixkitError(f"{target} does not end with .onnx; only ONNX files are written")
    check_target(target, overwrite=overwrite)


def _size(model: Any) -> Size:
    """Return the size that the config tests with, or trains with, as ``(H, W)``."""
    crop = model.test_cfg.get("crop_size") if model.test_cfg else None
    found = crop or getattr(model.data_preprocessor, "size", None) or _DEFAULT
    return (found, found) if isinstance(found, int) else (int(found[0]), int(found[1]))


def _write(
    module: Exported, form: Form, shape: Size, path: Path, *, fixed: bool
) -> tuple[Way, Compared, tuple[str, ...]]:
    failed: list[str] = []
    for way in WAYS:
        if fixed and way.dynamic:
            continue
        reason = write(module, torch.rand(1, 3, *shape) * 255, form.output, path, way)
        if reason is None:
            compared, reason = compare(module, path, _sizes(shape, way))
            if compared is not None:
                return way, compared, tuple(failed)
        failed.append(f"{way}: {reason}")
    raise FixkitError(
        "no ONNX file could be written that gives what PyTorch gives:\n  " + "\n  ".join(failed)
    )


def _sizes(shape: Size, way: Way) -> tuple[tuple[int, int, int], ...]:
    """Return what is compared: with open sizes, another height, width and batch as well."""
    height, width = shape
    if not way.dynamic:
        return ((1, height, width),)
    other = (max(_STEP, height // 2 // _STEP * _STEP) + _STEP, width + _STEP)
    return ((1, height, width), (1 if way.dynamo else 2, *other))


def _metadata(model: Any, form: Form) -> dict[str, Any]:
    return {
        "classes": list(form.classes),
        "task": form.task.value,
        "output": form.output,
        "thresholds": list(form.thresholds),
        "palette": [list(color) for color in model.dataset_meta.get("palette") or ()],
        "input": "RGB, float32 of 0 to 255, (B, 3, H, W); normalised by the model itself",
        "producer": f"mmseg-fixkit {__version__}",
    }


def _notes(model: Any, way: Way, size: Optional[Size]) -> tuple[str, ...]:
    notes = []
    if model.test_cfg and model.test_cfg.get("mode") == "slide":
        notes.append(
            "the config tests with sliding windows; the file takes a picture as a whole: cut it "
            "into windows yourself where that matters"
        )
    if not way.dynamic and size is None:
        notes.append("the model does not allow other sizes; --size writes it for another one")
    return tuple(notes)


__all__ = ["INPUT", "ExportReport", "export"]

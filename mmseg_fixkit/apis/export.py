"""``export``: config and checkpoint -> an ONNX file that gives what the host's inference gives."""

from __future__ import annotations

import importlib
import inspect
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from enum import Enum
from io import StringIO
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from numpy.typing import NDArray
from torch import Tensor, nn

from mmseg_fixkit import __version__
from mmseg_fixkit.apis.adapt import PathLike
from mmseg_fixkit.apis.export_proof import Batch, Judge, Judged, judge_of
from mmseg_fixkit.apis.inference import init_model
from mmseg_fixkit.config.host import HeadKind
from mmseg_fixkit.config.load import ConfigLike
from mmseg_fixkit.config.multilabel import OWN_SEGMENTORS
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import check_target, replacing
from mmseg_fixkit.datasets.label_bits import unpack
from mmseg_fixkit.models.heads import find_heads

Size = tuple[int, int]

#: What may be asked for: a number for each class and pixel, or what is there.
OUTPUTS = ("labels", "scores")
INPUT = "image"

#: What the runtimes may differ by: scores between 0 and 1; of labels the share of pixels, those
#: where two scores are the same but for rounding.
_TOLERANCE = {"scores": 1e-3, "labels": 1e-3}

#: What PyTorch may differ by from the host, which runs the same layers: a share of how far apart
#: the scores of pixels are, and of the largest.
_OF_SPREAD, _OF_LARGEST = 1e-3, 1e-5

#: What the exporters and ONNX Runtime say -> what it means for the user.
_REASONS = {
    "adaptive_avg_pool2d": "the model pools to a fixed grid, so the file needs one size",
    "kernel of unknown shape": "its kernels follow the size of the image, so the file needs one",
    "Reshape node": "the model keeps the size of the image that it was traced with",
    "must match the size of tensor": "the model takes images of one size alone; give it by --size",
}

_OPSET = 17
_DEFAULT: Size = (512, 512)
_STEP = 32  # heights and widths that every backbone takes
_HAS_EXPORT = "dynamo" in inspect.signature(torch.onnx.export).parameters


# What a file gives


class Task(str, Enum):
    """How the numbers of a model become labels."""

    SOFTMAX = "softmax"  # logits of classes that exclude each other
    SIGMOID = "sigmoid"  # one channel for two classes
    QUERY = "query"  # masks weighed with classes: scores as they come
    MULTI_LABEL = "multi-label"  # a sigmoid for each label, background in channel 0


@dataclass(frozen=True)
class OutputSpec:
    """What an exported model gives."""

    task: Task
    output: str  # one of :data:`OUTPUTS`
    classes: tuple[str, ...]  # names of the channels, or of the values of a map
    # of each label, or of the one channel; empty where the highest score counts
    thresholds: tuple[float, ...] = ()
    keep_background: bool = False  # channel 0 of a multi-label model is given too


def output_spec(model: Any, output: str, *, keep_background: bool = False) -> OutputSpec:
    """Return how the numbers of ``model`` become what was asked for.

    Raises ``FixkitError`` where it has no classes, or no background to keep.
    """
    head = next((h for h in reversed(find_heads(model)) if h.path.startswith("decode_head")), None)
    if head is None or head.spec.kind is HeadKind.DEPTH:
        raise FixkitError(f"{type(model).__name__} has no head that predicts classes")
    classes = tuple(model.dataset_meta["classes"])
    if type(model).__name__ in OWN_SEGMENTORS:
        limits = tuple(model.threshold)
        if keep_background:
            classes, limits = ("background", *classes), (0.5, *limits)
        return OutputSpec(Task.MULTI_LABEL, output, classes, limits, keep_background)
    if keep_background:
        raise FixkitError(
            f"--keep-background is for multi-label models, but {type(model).__name__} has one "
            "class for each pixel, and exports all of them"
        )
    if model.out_channels == 1:
        return OutputSpec(Task.SIGMOID, output, classes, (float(model.decode_head.threshold),))
    query = head.spec.kind in (HeadKind.QUERY, HeadKind.TEXT)
    return OutputSpec(Task.QUERY if query else Task.SOFTMAX, output, classes)


def _flag(preprocessor: Any, *spellings: str) -> bool:
    """Return what a preprocessor says of itself, under the name that this host gives it.

    Raises ``FixkitError`` where it has none of the names: any default would change what the model
    sees. mmsegmentation calls one ``channel_conversion``, onedl-mmsegmentation and MMEngine
    ``_channel_conversion``.
    """
    for name in spellings:
        if hasattr(preprocessor, name):
            return bool(getattr(preprocessor, name))
    raise FixkitError(
        f"{type(preprocessor).__name__}, the data_preprocessor, has no {' or '.join(spellings)}: "
        "how it changes an image is not known, and cannot be written into the file; "
        "SegDataPreProcessor can be exported"
    )


class ExportedModel(nn.Module):
    """``image`` (B, 3, H, W), RGB of 0 to 255 -> scores or labels of the same height and width.

    Scores are float32 (B, C, H, W); labels uint8: (B, H, W) with a class in each pixel, or
    (B, L, H, W) of 0 and 1 for a multi-label model. The host's normalisation is part of it.
    """

    mean: Optional[Tensor]
    std: Tensor

    def __init__(self, model: Any, spec: OutputSpec) -> None:
        super().__init__()
        self.model = model
        self.spec = spec
        before = model.data_preprocessor
        normalised = _flag(before, "_enable_normalize")
        self.register_buffer("mean", before.mean.clone() if normalised else None)
        self.register_buffer("std", before.std.clone() if normalised else None)
        # What the host reads is BGR; a preprocessor that turns it leaves RGB.
        self.turned = not _flag(before, "channel_conversion", "_channel_conversion")

    def forward(self, image: Tensor) -> Tensor:
        """Run the model; see the class."""
        scores = self._scores(self.logits(image))
        return scores if self.spec.output == "scores" else self._labels(scores)

    def logits(self, image: Tensor) -> Tensor:
        """Return the numbers (B, C, H, W) of the model, with all its channels."""
        pixels = image.flip(1) if self.turned else image
        if self.mean is not None:
            pixels = (pixels - self.mean) / self.std
        size = pixels.shape[2:]
        meta = {"img_shape": size, "ori_shape": size, "pad_shape": size, "batch_input_shape": size}
        logits: Tensor = self.model.whole_inference(pixels, [dict(meta)] * len(image))
        return logits

    def _scores(self, logits: Tensor) -> Tensor:
        task = self.spec.task
        if task is Task.SOFTMAX:
            return logits.softmax(dim=1)
        if task is Task.QUERY:
            return logits
        background = task is Task.MULTI_LABEL and not self.spec.keep_background
        return (logits[:, 1:] if background else logits).sigmoid()

    def _labels(self, scores: Tensor) -> Tensor:
        if not self.spec.thresholds:
            return scores.argmax(dim=1).to(torch.uint8)
        limits = scores.new_tensor(self.spec.thresholds).view(1, -1, 1, 1)
        found = (scores > limits).to(torch.uint8)
        return found[:, 0] if self.spec.task is Task.SIGMOID else found


# How it is written


def _tracing(output: str, dynamic: bool) -> dict[str, Any]:
    axes = {0: "batch", 2: "height", 3: "width"}
    names = {INPUT: axes, output: axes if output == "scores" else {0: "batch"}}
    options = {"opset_version": _OPSET, "dynamic_axes": names if dynamic else None}
    return {**options, "dynamo": False} if _HAS_EXPORT else options


def _torch_export(output: str, dynamic: bool) -> dict[str, Any]:
    if not _HAS_EXPORT:
        raise FixkitError("this torch has no torch.export; --size HxW traces the model at one size")
    return {"dynamo": True, "external_data": False, "verbose": False}


@dataclass(frozen=True)
class ExportMethod:
    """One way to write a model."""

    name: str  # as messages call it
    any_size: bool  # batch, height and width may stay open
    # output and whether sizes stay open -> what ``torch.onnx.export`` is given
    options: Callable[[str, bool], dict[str, Any]]


#: A trace takes seconds and works in every torch; ``torch.export`` reads more models.
EXPORT_METHODS = (
    ExportMethod("tracing", True, _tracing),
    ExportMethod("torch.export", False, _torch_export),
)


@dataclass(frozen=True)
class ExportReport:
    """What was exported."""

    path: Path
    spec: OutputSpec
    size: Size  # (H, W) of the image that it was written with
    dynamic: bool  # takes other batches, heights and widths too
    compared: tuple[Batch, ...]  # (B, H, W) of image files, with the host's inference
    difference: float  # the largest, of scores; of labels, the share of pixels that differ
    failed: tuple[str, ...] = ()  # methods tried before, and why they would not do
    notes: tuple[str, ...] = ()  # what the user should know

    @property
    def input_shape(self) -> str:
        """The shape of the input: ``(batch, 3, height, width)``, or numbers."""
        height, width = self.size
        return "(batch, 3, height, width)" if self.dynamic else f"(1, 3, {height}, {width})"


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

    It is compared with what ``mmseg.apis.inference_model`` gives for image files, from decoding to
    labels, and with PyTorch.

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
            the host's own inference fails or gives something else than the model as it would
            be written, or no file gives the same. Nothing is written then.
    """
    target = Path(path)
    _check(target, output, overwrite)
    model: Any = init_model(config, checkpoint, trust=trust)
    spec = output_spec(model, output, keep_background=keep_background)
    module = ExportedModel(model, spec).eval()
    shape = size or _size(model)
    judge = _judge(module, Path(checkpoint), shape, trust)
    with replacing(target) as temporary:
        told = _metadata(model, spec)
        written = _write_checked(module, temporary, told, judge, shape, fixed=size is not None)
    notes = (*_notes(model, one_size=not written.dynamic and size is None), *judge.notes)
    return ExportReport(target, spec, shape, **vars(written), notes=notes)


@dataclass(frozen=True)
class _Written:
    """The fields of :class:`ExportReport` that the file itself decides."""

    dynamic: bool
    compared: tuple[Batch, ...]
    difference: float
    failed: tuple[str, ...]


def _judge(module: ExportedModel, checkpoint: Path, shape: Size, trust: bool) -> Judge:
    """Return the host's inference, once the module gives the same as it for an image file.

    Scores are compared here, before labels of them hide what is wrong.
    """
    size = f"{shape[0]}x{shape[1]}"
    try:
        with _quiet():
            weights = module.model.state_dict()
            judge = judge_of(module.model.cfg, checkpoint, weights, trust=trust)
            look = judge.look((1, *shape))
    except Exception as error:  # whatever the host and the config's own modules raise
        raise FixkitError(
            f"MMSegmentation's own inference fails on an image of {size}: {_reason(error)}"
        ) from error
    with torch.no_grad():
        logits = module.logits(torch.from_numpy(look.images))
    apart = np.abs(as_the_host(module.spec.task, logits).numpy() - look.logits).max()
    if not apart <= _allowed(look.logits):
        raise FixkitError(
            "the model as it would be written does not give what MMSegmentation's inference gives "
            f"for an image file of {size}: scores differ by {apart:.2g}{_padded(module.model.cfg)}"
        )
    return judge


def _padded(config: Config) -> str:
    padding = config.model.data_preprocessor.get("test_cfg")
    return f"; test images are padded by {dict(padding)}: give another --size" if padding else ""


def as_the_host(task: Task, logits: Tensor) -> Tensor:
    """Return what the host keeps as ``seg_logits`` of the numbers of a model."""
    if task is Task.SIGMOID:
        return logits.sigmoid()
    return logits[:, 1:] if task is Task.MULTI_LABEL else logits


def _allowed(logits: NDArray[np.float32]) -> float:
    spread = (logits.max(axis=(2, 3)) - logits.min(axis=(2, 3))).max()
    return float(max(_OF_SPREAD * spread, _OF_LARGEST * np.abs(logits).max()))


def _write_checked(
    module: ExportedModel,
    path: Path,
    metadata: Mapping[str, Any],
    judge: Judge,
    shape: Size,
    *,
    fixed: bool,
) -> _Written:
    """Write by the first method whose file, as it will stand, gives what the host gives."""
    failed: list[str] = []
    for method in EXPORT_METHODS:
        dynamic = method.any_size and not fixed
        sizes = _compared_sizes(shape, dynamic)
        try:
            _write(module, path, method.options(module.spec.output, dynamic), shape)
            describe(path, metadata)
            with _quiet():
                looks = [judge.look(size) for size in sizes]
            return _Written(dynamic, sizes, compare(module, path, looks), tuple(failed))
        except Exception as error:  # whatever exporters and ONNX Runtime raise
            size = "any size" if dynamic else "one size"
            failed.append(f"{size}, {method.name}: {_reason(error)}")
    raise FixkitError(
        "no ONNX file could be written that gives what the model gives:\n  " + "\n  ".join(failed)
    )


def _check(target: Path, output: str, overwrite: bool) -> None:
    if output not in OUTPUTS:
        raise FixkitError(f"output is {output!r}, but one of {', '.join(OUTPUTS)} is needed")
    if target.suffix != ".onnx":
        raise FixkitError(f"{target} does not end with .onnx; only ONNX files are written")
    check_target(target, overwrite=overwrite)
    for package in ("onnx", "onnxruntime"):
        need(package)


def _size(model: Any) -> Size:
    """Return the size that the config tests with, or trains with, as ``(H, W)``."""
    crop = model.test_cfg.get("crop_size") if model.test_cfg else None
    found = crop or model.cfg.model.data_preprocessor.get("size") or _DEFAULT
    return (found, found) if isinstance(found, int) else (int(found[0]), int(found[1]))


def _compared_sizes(shape: Size, dynamic: bool) -> tuple[Batch, ...]:
    """Return what is compared: with open sizes, another height, width and batch as well."""
    height, width = shape
    other = (2, max(_STEP, height // 2 // _STEP * _STEP) + _STEP, width + _STEP)
    return ((1, height, width), other) if dynamic else ((1, height, width),)


def _write(module: ExportedModel, path: Path, options: Mapping[str, Any], shape: Size) -> None:
    example = torch.rand(1, 3, *shape) * 255
    names = {"input_names": [INPUT], "output_names": [module.spec.output]}
    with _quiet(), torch.no_grad():
        torch.onnx.export(module, (example,), str(path), **names, **options)


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop what the exporters and the host print: warnings of a trace are checked by running it."""
    noisy = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "torch.export")]
    # Made here where there is none yet: it keeps the stdout that it finds.
    noisy.append(MMLogger.get_current_instance())
    before = [logger.level for logger in noisy]
    try:
        for logger in noisy:
            logger.setLevel(logging.ERROR)
        # A trace that fails prints its whole graph.
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(noisy, before):
            logger.setLevel(level)


def _reason(error: Exception) -> str:
    text = str(error).strip()
    first = text.partition("\n")[0] or type(error).__name__
    meaning = next((meaning for sign, meaning in _REASONS.items() if sign in text), None)
    return f"{meaning} ({first})" if meaning else first


# Whether it gives the same


def compare(module: ExportedModel, path: Path, looks: Sequence[Judged]) -> float:
    """Run a file on images; return how far it is at most from its module and from the host.

    Raises where it does not run or gives something else; ONNX Runtime has a class for each fault.
    """
    runtime = need("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # what fails is reported here
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    worst = 0.0
    for look in looks:
        found = session.run(None, {INPUT: look.images})[0]
        with torch.no_grad():
            ours = module(torch.from_numpy(look.images)).numpy()
        known = found[:, 1:] if module.spec.keep_background else found
        pairs = {
            "PyTorch": (found, ours),
            "MMSegmentation's inference": (known, _of_host(module.spec, look)),
        }
        for name, (one, other) in pairs.items():
            apart = _apart(one, other, name)
            if not apart <= _TOLERANCE[module.spec.output]:
                raise ValueError(f"it differs from {name} by {apart:.2g}")
            worst = max(worst, apart)
    return worst


def _of_host(spec: OutputSpec, look: Judged) -> NDArray[Any]:
    """Return what the host's inference says of images, in the form of a file; no background."""
    if spec.output == "scores":
        logits = torch.from_numpy(look.logits)
        plain = spec.task in (Task.QUERY, Task.SIGMOID)
        soft = logits.softmax(1) if spec.task is Task.SOFTMAX else logits.sigmoid()
        scores: NDArray[Any] = (logits if plain else soft).numpy()
        return scores
    if spec.task is Task.MULTI_LABEL:
        return np.stack([unpack(label, look.logits.shape[1])[0] for label in look.labels])
    return look.labels


def _apart(found: NDArray[Any], expected: NDArray[Any], name: str) -> float:
    if found.shape != expected.shape:
        raise ValueError(f"it gives the shape {found.shape}, but {name} {expected.shape}")
    if found.dtype == np.uint8:
        return float((found != expected).mean())
    return float(np.abs(found - expected).max())


# What it says of itself


def _metadata(model: Any, spec: OutputSpec) -> dict[str, Any]:
    return {
        "classes": list(spec.classes),
        "task": spec.task.value,
        "output": spec.output,
        "thresholds": list(spec.thresholds),
        "palette": [list(color) for color in model.dataset_meta.get("palette") or ()],
        "input": "RGB, float32 of 0 to 255, (B, 3, H, W); normalised by the model itself",
        "producer": f"mmseg-fixkit {__version__}",
    }


def describe(path: Path, metadata: Mapping[str, Any]) -> None:
    """Write ``metadata`` into the file, as JSON under each key, and check the whole file."""
    onnx = need("onnx")
    model = onnx.load(str(path))
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    onnx.helper.set_model_props(model, texts)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _notes(model: Any, *, one_size: bool) -> tuple[str, ...]:
    notes = []
    if model.test_cfg and model.test_cfg.get("mode") == "slide":
        notes.append(
            "the config tests with sliding windows; the file takes an image as a whole: cut it "
            "into windows yourself where that matters"
        )
    if one_size:
        notes.append("the model does not allow other sizes; --size writes it for another one")
    return tuple(notes)


def need(package: str) -> Any:
    """Import a package of the ``export`` extra; raise ``FixkitError`` where it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise FixkitError(
            f"{package} is needed to export, but cannot be imported ({error}); "
            "pip install 'mmseg-fixkit[export]'"
        ) from None

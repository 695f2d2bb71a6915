"""Writing an ONNX file, and comparing what it gives with what PyTorch gives."""

from __future__ import annotations

import inspect
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor, nn

from mmseg_fixkit.core.errors import FixkitError

#: What the two runtimes may differ by, for scores between 0 and 1.
TOLERANCE = 1e-3
#: Share of pixels whose label may differ: those where two scores are the same but for rounding.
ALLOWED = 1e-3

INPUT = "image"

_OPSET = 17
_NAMED_AXES = {0: "batch", 2: "height", 3: "width"}


@dataclass(frozen=True)
class Way:
    """One way to write a model.

    Args:
        dynamic: whether batch, height and width are left open.
        dynamo: whether ``torch.export`` captures the graph, or a trace.
    """

    dynamic: bool
    dynamo: bool

    def __str__(self) -> str:
        size = "any size" if self.dynamic else "one size"
        return f"{size}, {'torch.export' if self.dynamo else 'tracing'}"


#: The trace takes seconds and works in every torch; ``torch.export`` reads more models.
WAYS = (Way(True, False), Way(True, True), Way(False, False), Way(False, True))


@dataclass(frozen=True)
class Compared:
    """How far ONNX Runtime and PyTorch are apart on the same pictures.

    Args:
        sizes: ``(B, H, W)`` that were tried.
        difference: the largest of scores; of labels, the share of pixels that differ.
    """

    sizes: tuple[tuple[int, int, int], ...]
    difference: float


def write(module: nn.Module, example: Tensor, output: str, path: Path, way: Way) -> Optional[str]:
    """Write ``module`` to ``path``; return why it cannot be, if so.

    Args:
        module: takes an image (B, 3, H, W), gives one tensor.
        example: an image of the size to be written.
        output: the name of what it gives.
        path: the file.
        way: how.
    """
    options: dict[str, Any] = {"input_names": [INPUT], "output_names": [output]}
    if way.dynamo:
        if "dynamo" not in inspect.signature(torch.onnx.export).parameters:
            return "this torch has no torch.export"
        dims = dict.fromkeys((2, 3), torch.export.Dim.DYNAMIC) if way.dynamic else {}
        options.update(dynamo=True, dynamic_shapes=(dims,), external_data=False, verbose=False)
    else:
        axes = {n: _axes(n, output) for n in (INPUT, output)} if way.dynamic else None
        options.update(opset_version=_OPSET, dynamic_axes=axes)
        if "dynamo" in inspect.signature(torch.onnx.export).parameters:
            options["dynamo"] = False
    try:
        with _quiet(), torch.no_grad():
            torch.onnx.export(module, (example,), str(path), **options)
    except Exception as error:  # what an exporter raises is its own affair
        return str(error).strip().partition("\n")[0] or type(error).__name__
    return None


def _axes(name: str, output: str) -> Mapping[int, str]:
    if name == output == "labels":
        return {0: "batch"}
    return _NAMED_AXES


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' talk to themselves: warnings of a trace are checked by running it."""
    noisy = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "torch.export")]
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


def compare(
    module: nn.Module, path: Path, sizes: tuple[tuple[int, int, int], ...]
) -> tuple[Optional[Compared], str]:
    """Run the file and the module on the same random pictures.

    Returns:
        How far they are apart; None with the reason where the file does not run, or not alike.
    """
    runtime = _runtime()
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # what fails is said here
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        differences = [_difference(module, session, size) for size in sizes]
    except Exception as error:  # ONNX Runtime has an exception for each kind of fault
        return None, str(error).strip().partition("\n")[0]
    worst = max(differences)
    limit = TOLERANCE if session.get_outputs()[0].name == "scores" else ALLOWED
    if not worst <= limit:
        return None, f"it differs from PyTorch by {worst:.2g}"
    return Compared(sizes, worst), ""


def _difference(module: nn.Module, session: Any, size: tuple[int, int, int]) -> float:
    batch, height, width = size
    generator = torch.Generator().manual_seed(0)
    # Smooth pictures: noise alone brings few classes forth.
    coarse = torch.rand(batch, 3, max(height // 16, 2), max(width // 16, 2), generator=generator)
    image = torch.nn.functional.interpolate(coarse * 255, (height, width), mode="bilinear")
    with torch.no_grad():
        expected = module(image).numpy()
    found = session.run(None, {session.get_inputs()[0].name: image.numpy()})[0]
    if found.shape != expected.shape:
        raise ValueError(f"it gives the shape {found.shape}, but PyTorch {expected.shape}")
    if expected.dtype == np.uint8:
        return float((found != expected).mean())
    return float(np.abs(found - expected).max())


def describe(path: Path, metadata: Mapping[str, Any]) -> None:
    """Write ``metadata`` into the file, as JSON under each key, and check the whole file."""
    onnx = need("onnx")
    model = onnx.load(str(path))
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    onnx.helper.set_model_props(model, texts)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _runtime() -> Any:
    return need("onnxruntime")


def need(package: str) -> Any:
    """Import a package of the ``export`` extra.

    Raises:
        FixkitError: it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise FixkitError(
            f"{package} is needed to export, but cannot be imported ({error}); "
            "pip install 'mmseg-fixkit[export]'"
        ) from None

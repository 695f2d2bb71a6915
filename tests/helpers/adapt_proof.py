"""Real zoo models before and after their classes change: how far the outputs are apart."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

import torch
from torch import Tensor, nn

from mmseg_fixkit import LabelSpace, patch
from mmseg_fixkit.models.adapt import adapt_state_dict
from mmseg_fixkit.models.heads import class_tensors, find_heads
from tests.helpers.runs import run_portable
from tests.zoo.build import build
from tests.zoo.configs import ROOT, head_types, lacks
from tests.zoo.modes import read
from tests.zoo.train import Step

OLD = ("wall", "floor", "tree", "sky", "road", "grass", "door")


@dataclass(frozen=True)
class Change:
    """What becomes of the classes."""

    name: str
    new: tuple[str, ...]

    @property
    def rows(self) -> list[tuple[int, int]]:
        """Old and new index of each class that stays."""
        return [(OLD.index(name), i) for i, name in enumerate(self.new) if name in OLD]


ORDER = Change("another order", ("sky", "door", "wall", "grass", "tree", "road", "floor"))
SUBSET = Change("subset", ("grass", "wall", "road", "tree"))
ADDED = Change("one added", ("lamp", *OLD))

#: Heads whose classes act on each other -> how. Elsewhere each class has an output of its own.
ACTING = {
    "SegmenterMaskTransformerHead": "attention between classes, norm over classes",
    "IterativeDecodeHead": "attention between kernels, softmax over masks",
    "OCRHead": "object context is gathered from all classes",
    "PointHead": "coarse prediction of all classes is its input",
    "Mask2FormerHead": 'softmax over classes and "no object"',
    "MaskFormerHead": 'softmax over classes and "no object"',
    "SideAdapterCLIPHead": 'softmax over classes and "no object"',
}


@dataclass
class Measured:
    """How far the outputs for the kept classes are apart, relative to the largest output.

    Args:
        change: see :class:`Change`.
        prediction: of what the model predicts.
        layers: of each class layer, by its name.
        agreement: share of the pixels whose best kept class is the same.
        kept: rows that were kept, of those that the new model has.
    """

    change: str
    prediction: float
    layers: dict[str, float]
    agreement: float
    kept: str

    @property
    def worst_layer(self) -> float:
        return max(self.layers.values(), default=0.0)


@dataclass
class Proof:
    """All of it for one config."""

    config: str
    heads: str
    acting: str
    measured: list[Measured] = field(default_factory=list)


def prove(step: Step, changes: Sequence[Change]) -> Optional[Proof]:
    """Measure one config; None where its model cannot be built here."""
    config = run_portable(read(ROOT / step.config), step.size)
    tree = config.model.to_dict()
    if lacks(step.config, tree):
        return None
    old = _model(config, OLD)
    _initialise(old)
    _calibrate(old, step.size)
    proof = Proof(step.config, head_types(tree), _acting(old))
    before = outputs(old, step.size)
    assert _varied(before[""]), f"{step.config}: its outputs are the same everywhere"
    for change in changes:
        proof.measured.append(_measure(config, old, before, change, step.size))
    return proof


def _acting(model: Any) -> str:
    kinds = [head.type_name for head in find_heads(model)]
    return "; ".join(dict.fromkeys(ACTING[kind] for kind in kinds if kind in ACTING))


def _measure(
    config: Any, old: Any, before: dict[str, Tensor], change: Change, size: int
) -> Measured:
    new = _model(config, change.new)
    state, report = adapt_state_dict(old.state_dict(), new, OLD, change.new)
    new.load_state_dict(state)
    after = outputs(new, size)
    assert before.keys() == after.keys()
    apart = {name: _apart(before[name], after[name], change) for name in before}
    prediction = apart.pop("")
    agreement = _agreement(before[""], after[""], change)
    kept = f"{len(change.rows)} of {len(change.new)}"
    assert report.plan is not None
    return Measured(change.name, prediction, apart, agreement, kept)


def _apart(old: Tensor, new: Tensor, change: Change) -> float:
    before, after = _kept(old, new, change)
    return float((before - after).abs().max() / before.abs().max())


def _agreement(old: Tensor, new: Tensor, change: Change) -> float:
    before, after = _kept(old, new, change)
    return float((before.argmax(0) == after.argmax(0)).float().mean())


def _kept(old: Tensor, new: Tensor, change: Change) -> tuple[Tensor, Tensor]:
    was, now = zip(*change.rows)
    return old[list(was)], new[list(now)]


def _model(config: Any, names: Sequence[str]) -> Any:
    patched = patch(config, LabelSpace(tuple(names)), guards=False).config
    if "size_divisor" in patched.model.data_preprocessor:  # SAN pads to 640
        patched.model.data_preprocessor.size_divisor = None
    torch.manual_seed(len(names))
    return build(patched.model).eval()


def _initialise(model: Any) -> None:
    """Initialise, and make the class layers large enough to tell their outputs apart."""
    if hasattr(model, "text_encoder"):  # without CLIP's weights SAN cannot
        for parameter in model.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.05)
        return
    model._dump_init_info = lambda: None
    model.init_weights()
    state = model.state_dict()
    for name in class_tensors(model):
        nn.init.normal_(state[name], std=0.1)


@torch.no_grad()
def _calibrate(model: Any, size: int) -> None:
    """Set the statistics of batch norms, without which untrained features die out."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    outputs(model, size, batch=3)
    model.eval()


def _varied(prediction: Tensor) -> bool:
    return float(prediction.std(1).max() / prediction.abs().max()) > 1e-3


@torch.no_grad()
def outputs(model: Any, size: int, batch: int = 1) -> dict[str, Tensor]:
    """Return prediction (under no name) and outputs of all class layers, classes first."""
    image = torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1))
    shape = (size, size)
    metas = [
        dict(img_shape=shape, ori_shape=shape, pad_shape=shape, batch_input_shape=shape)
    ] * batch
    found: dict[str, list[Tensor]] = {}
    torch.manual_seed(2)  # SegNeXt's decomposition starts from random numbers
    with _watched(model, found):
        prediction = model.encode_decode(image, metas)
        _in_training(model, image)
    result = {name: torch.cat(parts, 1) for name, parts in found.items()}
    return {"": _first(prediction, 1), **result}


def _in_training(model: Any, image: Tensor) -> None:
    """Run what only training runs: auxiliary heads, and second layers of DDRNet and PIDNet."""
    extra = [h.module for h in find_heads(model) if h.type_name in ("DDRHead", "PIDHead")]
    for module in [model.backbone, *extra] if extra else []:
        module.training = True  # not its layers: norms stay as they are
    features = model.extract_feat(image)
    for head in extra:
        head(features)
    auxiliary = getattr(model, "auxiliary_head", None)
    for head in auxiliary if isinstance(auxiliary, nn.ModuleList) else filter(None, [auxiliary]):
        head(features)
    for module in [model.backbone, *extra] if extra else []:
        module.training = False


@contextlib.contextmanager
def _watched(model: Any, found: dict[str, list[Tensor]]) -> Iterator[None]:
    """Collect what class layers put out, without "no object"."""
    rows = {n: t for n, t in class_tensors(model).items() if not t.axes[0].inputs}
    # Which points PointHead looks at hangs on rounding; the prediction tells of it.
    layers = {n.rpartition(".")[0]: t for n, t in rows.items() if ".fc_seg." not in n}
    handles = []
    for name, tensor in layers.items():

        def keep(
            layer: Any, _: Any, out: Tensor, name: str = name, more: int = tensor.no_object
        ) -> None:
            rows = _first(out, out.dim() - 1 if isinstance(layer, nn.Linear) else 1)
            found.setdefault(name, []).append(rows[: len(rows) - more])

        module = model.get_submodule(name)
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            handles.append(module.register_forward_hook(keep))
    yield
    for handle in handles:
        handle.remove()


def _first(tensor: Tensor, dim: int) -> Tensor:
    return tensor.movedim(dim, 0).flatten(1)

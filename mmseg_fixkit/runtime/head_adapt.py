"""The hook that says what a checkpoint brings before it is copied into the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from torch import nn

from mmseg_fixkit.checkpoint.compare import Comparison, Resized, Shape, compare, likely_reasons
from mmseg_fixkit.runtime.errors import CheckpointMismatch
from mmseg_fixkit.runtime.heads import class_sized, loading_target
from mmseg_fixkit.runtime.text import table

#: Prefixes of the part that pretraining is about; SAN calls it by the second.
BACKBONES = ("backbone.", "image_encoder.")
_MODULE = "module."
_LISTED = 20
#: Share of the backbone that may be absent: ResNet-50 lacks half of ResNet-101, -101 a third of
#: -152; what a model adds to a backbone, and buffers that are no longer saved, is far less.
_ALLOWED = 0.25


class HeadAdaptHook(Hook):
    """Lets a checkpoint of other classes in, and nothing else that does not fit.

    Tensors whose shape follows the class count give way to the model's own in the loaded state
    dict (the file is never changed), so that the head's own initialisation stays, and are listed
    once in the log as expected. Any other shape, or a backbone that is largely missing, stops the
    run: MMEngine would load the rest, warn, and train what is left from scratch.

    Works wherever MMEngine loads a checkpoint: ``load_from`` and ``resume``, training and test.

    Raises:
        CheckpointMismatch: see above; also if a run is to be resumed with other classes.
    """

    # Before EMAHook, which copies the state dict into its average in after_load_checkpoint.
    priority = "VERY_HIGH"

    def after_load_checkpoint(self, runner: Any, checkpoint: MutableMapping[str, Any]) -> None:
        """Compare, report, and keep what has to be new."""
        model = loading_target(runner.model)
        state = checkpoint.get("state_dict", checkpoint)
        names = _by_model_name(state)
        result = compare(_shapes(names, state), _model_shapes(model), class_sized(model))
        source = getattr(runner, "_load_from", None) or "the checkpoint"
        _stop_if_wrong(result, source, checkpoint)
        _stop_if_resumed(result, source, resumed=getattr(runner, "_resume", False))
        own = model.state_dict() if result.reinitialised else {}
        for resized in result.reinitialised:
            # The model's own tensor, so that MMEngine has nothing to warn about.
            state[names[resized.name]] = own[resized.name]
        if is_main_process():
            _report(runner.logger, result, source)


def _report(logger: Any, result: Comparison, source: str) -> None:
    if result.reinitialised:
        logger.info(_new_layers(result, source))
    for backbone in BACKBONES:
        if result.share_unexpected(backbone) > _ALLOWED:
            logger.warning(f"{source}: {'; '.join(likely_reasons(result, backbone))}")


def _by_model_name(state: Mapping[str, Any]) -> dict[str, str]:
    """Name in the model -> name in the state dict; MMEngine strips ``module.`` in the same way."""
    return {
        (name[len(_MODULE) :] if name.startswith(_MODULE) else name): name
        for name, value in state.items()
        if hasattr(value, "shape")
    }


def _shapes(names: Mapping[str, str], state: Mapping[str, Any]) -> dict[str, Shape]:
    return {name: tuple(state[original].shape) for name, original in names.items()}


def _model_shapes(model: nn.Module) -> dict[str, Shape]:
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def _stop_if_resumed(result: Comparison, source: str, resumed: bool) -> None:
    if resumed and result.reinitialised:
        raise CheckpointMismatch(
            f"{source} is of a run with other classes and cannot be resumed: the optimizer state "
            f"in it belongs to layers of another size\n{_resized_table(result.reinitialised)}\n"
            "To start from its weights instead, set resume=False and load_from to its path"
        )


def _stop_if_wrong(result: Comparison, source: str, checkpoint: Mapping[str, Any]) -> None:
    backbone = _backbone(result)
    missing = result.share_missing(backbone)
    if not result.wrong and missing <= _ALLOWED:
        return
    parts = [f"{source} does not fit the model, and not because of the classes:"]
    if result.wrong:
        parts += [f"of another shape: {len(result.wrong)}", _resized_table(result.wrong)]
    if missing > _ALLOWED:
        parts += [f"{missing:.0%} of the tensors of {backbone[:-1]} are not in it, such as"]
        parts += _listed(name for name in result.missing if name.startswith(backbone))
    parts += [f"likely reason: {reason}" for reason in _reasons(result, backbone, checkpoint)]
    parts += [
        "Give load_from a checkpoint of this architecture; to load whatever fits nevertheless, "
        "take HeadAdaptHook out of custom_hooks"
    ]
    raise CheckpointMismatch("\n".join(parts))


def _backbone(result: Comparison) -> str:
    return max(BACKBONES, key=result.share_missing)


def _reasons(result: Comparison, backbone: str, checkpoint: Mapping[str, Any]) -> Iterator[str]:
    yield from likely_reasons(result, backbone)
    if any(r.name.startswith(backbone) for r in result.wrong):
        yield f"layers of {backbone[:-1]} differ in size: another depth, width or input size"
    meta = checkpoint.get("meta")
    version = str(meta.get("mmseg_version", "")) if isinstance(meta, Mapping) else ""
    if version.startswith("0."):
        yield f"it was written by mmsegmentation {version}; 1.x names some layers otherwise"


def _new_layers(result: Comparison, source: str) -> str:
    return (
        f"{source}: {len(result.loaded)} tensors fit; these {len(result.reinitialised)} follow the "
        "class count and start from the head's own initialisation, which is expected after a "
        f"change of classes\n{_resized_table(result.reinitialised)}"
    )


def _resized_table(rows: tuple[Resized, ...]) -> str:
    shown = table(
        ("tensor", "checkpoint", "model"), [(r.name, r.found, r.expected) for r in rows[:_LISTED]]
    )
    return shown + _more(len(rows))


def _listed(names: Iterable[str]) -> list[str]:
    rows = list(names)
    return [*(f"  {name}" for name in rows[:5]), *([_more(len(rows), 5)[1:]] if rows[5:] else [])]


def _more(count: int, shown: int = _LISTED) -> str:
    return f"\n  and {count - shown} more" if count > shown else ""

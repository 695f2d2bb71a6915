"""Rebuilds the class layers of a built model for the classes of its dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mmengine.dist import is_main_process
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import nn

from mmseg_fixkit.checkpoint.report import table
from mmseg_fixkit.core.text import counted
from mmseg_fixkit.labels import LabelSpace
from mmseg_fixkit.runtime.class_checks import built_splits
from mmseg_fixkit.runtime.errors import ClassCountError
from mmseg_fixkit.runtime.heads import is_multilabel_model
from mmseg_fixkit.runtime.transplant import Swap, apply_swaps, brief, plan_swaps

_HEAD_ATTRIBUTES = ("num_classes", "out_channels")
_INSTEAD = "write a fitting config with `mmseg-fix patch` and train from that"


def fix_model(runner: Any) -> None:
    """Give the model of ``runner`` the class count of its dataset; see ``ClassCountHook``.

    Meant for ``before_run``, where MMEngine has built model and optimizer, but has neither
    initialised nor loaded the weights (mmengine 0.10.7). Nothing happens without class names. The
    run's config follows, so that checkpoints and the work folder have the one that fits them.

    Raises:
        ClassCountError: the model is wrapped for several processes or was not built from the
            run's config.
        FixkitError: the config cannot be patched for these classes.
    """
    classes = next((s.classes for s in built_splits(runner) if s.classes), None)
    if classes is None:
        return
    _check_fixable(runner)
    if not is_multilabel_model(runner.model):
        _check_several(classes)
    patched = _patched_model(runner, classes)
    swaps = plan_model(runner.model, runner.cfg.model, patched)
    replaced = apply_swaps(swaps)
    for optimizer in _optimizers(getattr(runner, "optim_wrapper", None)):
        _hold_live(optimizer, replaced)
    _follow_head(runner.model)
    _follow_thresholds(runner.model, patched)
    if swaps:
        runner.cfg.model = patched
        runner.dump_config()
    if swaps and is_main_process():
        runner.logger.info(_told(swaps, len(classes)))


def _check_fixable(runner: Any) -> None:
    if is_model_wrapper(runner.model):
        raise ClassCountError(
            "ClassCountHook(action='fix') cannot rebuild layers of a model that is already "
            f"wrapped in {type(runner.model).__name__} for several processes; {_INSTEAD}"
        )
    if not isinstance(runner.cfg.get("model"), Mapping):
        raise ClassCountError(
            "ClassCountHook(action='fix') rebuilds layers from the config of the model, but this "
            f"run was given a built model without one; {_INSTEAD}"
        )


def _check_several(classes: tuple[str, ...]) -> None:
    if len(classes) == 1:
        raise ClassCountError(
            f"the dataset has one class only, {classes[0]!r}, which a softmax over one channel "
            f"cannot learn: name the background as a class of its own too, or {_INSTEAD}"
        )


def _patched_model(runner: Any, classes: tuple[str, ...]) -> Any:
    """Return the model config that the project's own patcher makes for ``classes``."""
    from mmseg_fixkit.api import patch

    head = _last(getattr(runner.model, "decode_head", None))
    ignored = getattr(head, "ignore_index", None)
    labels = LabelSpace(classes, ignore_index=255 if ignored is None else ignored)
    return patch(runner.cfg, labels, guards=False).config.model


def plan_model(
    model: nn.Module, config: Mapping[str, Any], patched: Mapping[str, Any]
) -> tuple[Swap, ...]:
    """Build the parts of ``model`` whose config was patched anew, and plan their transplant.

    Args:
        model: the live segmentor.
        config: what it was built from.
        patched: what it should have been built from.
    """
    changed = [key for key in patched if patched[key] != config.get(key)]
    parts = {key: getattr(model, key, None) for key in changed}
    return tuple(
        swap
        for key, live in parts.items()
        if isinstance(live, nn.Module)
        for swap in _plan_part(live, patched[key], key)
    )


def _plan_part(live: nn.Module, patched: Any, path: str) -> tuple[Swap, ...]:
    fresh = _build(patched)
    swaps = plan_swaps(live, fresh, path)
    if any(swap.is_tensor for swap in swaps) and hasattr(fresh, "init_weights"):
        # In place: the planned tensors are the initialised ones.
        fresh.init_weights()
    return swaps


def _build(config: Any) -> nn.Module:
    from mmengine.model import ModuleList
    from mmseg.registry import MODELS

    if isinstance(config, (list, tuple)):
        return ModuleList([_build(part) for part in config])
    return MODELS.build(config)


def _optimizers(wrapper: Any) -> Iterator[Any]:
    """Yield the torch optimizers of an optimizer wrapper or of a dict of them.

    In validation and test the wrapper is still a config.
    """
    if isinstance(wrapper, OptimWrapperDict):
        for inner in wrapper.optim_wrappers.values():
            yield from _optimizers(inner)
    elif isinstance(wrapper, OptimWrapper):
        yield wrapper.optimizer


def _hold_live(optimizer: Any, replaced: Mapping[int, nn.Parameter]) -> None:
    for group in optimizer.param_groups:
        for old in group["params"]:
            if id(old) in replaced:
                optimizer.state.pop(old, None)
        group["params"][:] = [replaced.get(id(p), p) for p in group["params"]]


def _follow_head(model: nn.Module) -> None:
    """Copy the head's counts to the segmentor, as ``EncoderDecoder`` does when it is built."""
    head = _last(getattr(model, "decode_head", None))
    for name in _HEAD_ATTRIBUTES:
        if hasattr(model, name) and hasattr(head, name):
            setattr(model, name, getattr(head, name))


def _follow_thresholds(model: Any, patched: Mapping[str, Any]) -> None:
    """Give each label of a pixel that may have several the threshold of the new config."""
    if is_multilabel_model(model):
        limits = patched.get("threshold", 0.5)
        listed = isinstance(limits, (list, tuple))
        model.threshold = list(limits) if listed else [float(limits)] * model.num_labels


def _last(head: Any) -> Any:
    return head[-1] if isinstance(head, nn.ModuleList) else head


def _told(swaps: Iterable[Swap], count: int) -> str:
    rows = [(swap.path, brief(swap.before), brief(swap.after)) for swap in swaps]
    return (
        f"ClassCountHook rebuilt the class layers of the model for {counted(count, 'class')}:\n"
        f"{table(('what', 'before', 'after'), rows)}"
    )

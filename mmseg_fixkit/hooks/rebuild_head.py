"""Rebuilds the class layers of a built model for the classes of its dataset.

The parts whose config changes are built again, and the live model is given their class-sized
tensors and plain values. All its modules stay the same objects, so hooks, wrappers and shared
references survive, and no table of head types is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Union

import numpy as np
from mmengine.dist import is_main_process
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor, nn

from mmseg_fixkit.checkpoint.compare import table
from mmseg_fixkit.core.errors import ClassCountError
from mmseg_fixkit.core.labels import LabelSpace
from mmseg_fixkit.core.text import counted
from mmseg_fixkit.hooks.built_classes import built_splits
from mmseg_fixkit.models.heads import ignore_index_of, is_multilabel_model

_HEAD_ATTRIBUTES = ("num_classes", "out_channels")
_INSTEAD = "write a fitting config with `mmseg-fix patch` and train from that"

_PLAIN = (bool, int, float, str, np.ndarray, type(None))

#: What torch and MMEngine keep in every module; never copied.
_BOOKKEEPING = frozenset(vars(nn.Module())) | {"_is_init", "_params_init_info"}


def fix_model(runner: Any) -> None:
    """Give the model of ``runner`` the class count of its dataset; see ``ClassCountHook``.

    Meant for ``before_run``, where MMEngine has built model and optimizer, but has neither
    initialised nor loaded the weights (mmengine 0.10.7). Nothing happens without class names. The
    run's config follows, so that checkpoints and the work folder have the one that fits them.

    Raises ``ClassCountError`` where the model is wrapped for several processes or not built from
    the run's config, ``FixkitError`` where that cannot be patched for these classes.
    """
    classes = next((s.classes for s in built_splits(runner) if s.classes), None)
    if classes is None:
        return
    _check_fixable(runner)
    if not is_multilabel_model(runner.model):
        _check_two_classes(classes)
    patched = _patched_model(runner, classes)
    replacements = plan_model(runner.model, runner.cfg.model, patched)
    replaced = apply_replacements(replacements)
    for optimizer in _optimizers(runner.optim_wrapper):
        _hold_live(optimizer, replaced)
    _follow_head(runner.model)
    _follow_thresholds(runner.model, patched)
    if replacements:
        runner.cfg.model = patched
        runner.dump_config()
    if replacements and is_main_process():
        runner.logger.info(_table_text(replacements, len(classes)))


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


def _check_two_classes(classes: tuple[str, ...]) -> None:
    if len(classes) == 1:
        raise ClassCountError(
            f"the dataset has one class only, {classes[0]!r}, which a softmax over one channel "
            f"cannot learn: name the background as a class of its own too, or {_INSTEAD}"
        )


def _patched_model(runner: Any, classes: tuple[str, ...]) -> Any:
    """Return the model config that the project's own patcher makes for ``classes``."""
    from mmseg_fixkit.apis.patch import patch

    ignored = ignore_index_of(runner.model)
    labels = LabelSpace(classes, ignore_index=255 if ignored is None else ignored)
    return patch(runner.cfg, labels, guards=False).config.model


def plan_model(
    model: nn.Module, config: Mapping[str, Any], patched: Mapping[str, Any]
) -> tuple[Replacement, ...]:
    """Build the parts of ``model`` whose config was patched again, and plan what they replace."""
    changed = [key for key in patched if patched[key] != config.get(key)]
    parts = {key: getattr(model, key, None) for key in changed}
    return tuple(
        each
        for key, live in parts.items()
        if isinstance(live, nn.Module)
        for each in _plan_part(live, patched[key], key)
    )


def _plan_part(live: nn.Module, patched: Any, path: str) -> tuple[Replacement, ...]:
    fresh = _build(patched)
    replacements = plan_replacements(live, fresh, path)
    if any(each.is_tensor for each in replacements) and hasattr(fresh, "init_weights"):
        # In place: the planned tensors are the initialised ones.
        fresh.init_weights()
    return replacements


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
    """Give each label of a multi-label model the threshold of the new config."""
    if is_multilabel_model(model):
        limits = patched.get("threshold", 0.5)
        listed = isinstance(limits, (list, tuple))
        model.threshold = list(limits) if listed else [float(limits)] * model.num_labels


def _last(head: Any) -> Any:
    return head[-1] if isinstance(head, nn.ModuleList) else head


def _table_text(replacements: Iterable[Replacement], count: int) -> str:
    rows = [(each.path, _brief(each.before), _brief(each.after)) for each in replacements]
    return (
        f"ClassCountHook rebuilt the class layers of the model for {counted(count, 'class')}:\n"
        f"{table(('what', 'before', 'after'), rows)}"
    )


# What a module is given of a twin that was built for other classes


@dataclass(frozen=True)
class Replacement:
    """One thing that changes: ``module.name`` becomes ``after``; ``path`` is for people."""

    path: str
    module: nn.Module
    name: str
    before: Any
    after: Any

    @property
    def is_tensor(self) -> bool:
        """Whether it is a parameter or a buffer."""
        return isinstance(self.after, Tensor)


def plan_replacements(live: nn.Module, fresh: nn.Module, path: str) -> tuple[Replacement, ...]:
    """Return what has to change in ``live`` to be sized as ``fresh``, of the patched config.

    Raises ``ClassCountError`` where the two differ in more than sizes and plain values.
    """
    return tuple(_replacements(live, fresh, path))


def apply_replacements(replacements: Iterable[Replacement]) -> dict[int, nn.Parameter]:
    """Carry the replacements out; return id of the replaced parameter -> parameter in its place.

    New tensors take device, type and ``requires_grad`` of the old; a parameter under two names
    stays one.
    """
    placed: dict[int, nn.Parameter] = {}
    for each in replacements:
        before, after = each.before, each.after
        if isinstance(before, nn.Parameter):
            after = placed.setdefault(id(before), _parameter_like(after, before))
        elif each.is_tensor:
            after = after.to(before)
        setattr(each.module, each.name, after)
    return placed


def _parameter_like(new: Tensor, old: nn.Parameter) -> nn.Parameter:
    return nn.Parameter(new.detach().to(old), requires_grad=old.requires_grad)


def _replacements(live: nn.Module, fresh: nn.Module, path: str) -> Iterator[Replacement]:
    _check_twins(live, fresh, path)
    for name, old in _tensors(live).items():
        new = _tensors(fresh)[name]
        if old.shape != new.shape:
            yield Replacement(f"{path}.{name}", live, name, old, new)
    for name, value in _plain_attributes(fresh).items():
        if not _same(getattr(live, name, None), value):
            yield Replacement(f"{path}.{name}", live, name, getattr(live, name, None), value)
    for name, child in live.named_children():
        twin = fresh.get_submodule(name)
        if type(child) is not type(twin) and not (_all_tensors(child) or _all_tensors(twin)):
            yield Replacement(f"{path}.{name}", live, name, child, twin)  # a loss of another type
        else:
            yield from _replacements(child, twin, f"{path}.{name}")


def _check_twins(live: nn.Module, fresh: nn.Module, path: str) -> None:
    for what, mine, other in (
        ("type", type(live).__name__, type(fresh).__name__),
        ("layers", [n for n, _ in live.named_children()], [n for n, _ in fresh.named_children()]),
        ("tensors", list(_tensors(live)), list(_tensors(fresh))),
    ):
        if mine != other:
            raise ClassCountError(
                f"the {what} of {path} are {mine} in the built model, but its config asks for "
                f"{other}, so it cannot be repaired in place; {_INSTEAD}"
            )


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers that ``module`` itself owns."""
    own = [*vars(module)["_parameters"].items(), *vars(module)["_buffers"].items()]
    return {name: value for name, value in own if value is not None}


def _all_tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def _plain_attributes(module: nn.Module) -> dict[str, Any]:
    own = {name: value for name, value in vars(module).items() if name not in _BOOKKEEPING}
    return {name: value for name, value in own.items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(v) for v in value.values())
    if isinstance(value, (list, tuple)):
        return all(_is_plain(v) for v in value)
    return isinstance(value, _PLAIN)


def _same(old: Any, new: Any) -> bool:
    if isinstance(old, np.ndarray) or isinstance(new, np.ndarray):
        return np.array_equal(old, new)
    return bool(old == new)


def _brief(value: Union[Tensor, Any]) -> str:
    """Write a value of a replacement for a table."""
    if isinstance(value, Tensor):
        return str(tuple(value.shape))
    if isinstance(value, nn.Module):
        return type(value).__name__
    text = repr(value)
    return text if len(text) <= 40 else f"{type(value).__name__} of {len(value)}"

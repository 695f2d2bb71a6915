"""The hook that makes a checkpoint of other classes fit before it is copied into the model."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, Optional

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from mmseg_fixkit.checkpoint.adapt import Needs, Source, adapt, by_model_name, named_rows
from mmseg_fixkit.checkpoint.names import NamesLike, given_names, names_in_meta
from mmseg_fixkit.checkpoint.report import AdaptReport
from mmseg_fixkit.checkpoint.rows import MappingLike, RowPlan
from mmseg_fixkit.errors import CheckpointMismatch
from mmseg_fixkit.runtime.adapt import adapt_ema, needs_of, plan_for, source_of
from mmseg_fixkit.runtime.class_checks import built_splits
from mmseg_fixkit.runtime.heads import loading_target

_EMA = "ema_state_dict"


class HeadAdaptHook(Hook):
    """Lets a checkpoint of other classes in, and nothing else that does not fit.

    Rows of class layers are kept by class name: the checkpoint's ``meta`` names its classes, the
    run's dataset those of the model. Other class-sized rows stay as the head's own initialisation
    left them, and where names are not known, all rows of a layer of another size do. A table in
    the log says what became of what; the file is never changed. Any other shape, or a backbone
    that is largely missing, stops the run: MMEngine would load the rest, warn, and train what is
    left from scratch.

    Works wherever MMEngine loads a checkpoint: ``load_from`` and ``resume``, training,
    validation and test.

    Args:
        old_classes: names of the checkpoint's classes, in the order of its rows, or a data set
            that the host knows (``'cityscapes'``); where left out, what its ``meta`` says. An
            empty list: they are not known, whatever ``meta`` says.
        mapping: ``old -> new`` (or list of new) for classes under other names; several old
            classes of one new are averaged.

    Raises:
        CheckpointMismatch: see above; also if class names and rows are not equally many, or if a
            run is to be resumed with other classes.
        FixkitError: ``mapping`` names an unknown class, or ``old_classes`` an unknown data set.
    """

    # Before EMAHook, which copies the state dict into its average in after_load_checkpoint.
    priority = "VERY_HIGH"

    def __init__(self, old_classes: NamesLike = None, mapping: MappingLike = None) -> None:
        self.old_classes = old_classes
        self.mapping = mapping

    def after_load_checkpoint(self, runner: Any, checkpoint: MutableMapping[str, Any]) -> None:
        """Compare, move rows, and report."""
        name = str(getattr(runner, "_load_from", None) or "the checkpoint")
        needs = needs_of(loading_target(runner.model))
        state = checkpoint.get("state_dict", checkpoint)
        source = source_of(state, name, _meta(checkpoint))
        plan = self._plan(runner, source, needs)
        tensors, report = adapt(source, needs, plan)
        if getattr(runner, "_resume", False):
            _stop_if_resumed(report)
        _put(state, tensors)
        if _EMA in checkpoint:
            checkpoint[_EMA] = adapt_ema(checkpoint[_EMA], needs, plan, name)
        if is_main_process():
            _log(runner.logger, report)

    def _plan(self, runner: Any, source: Source, needs: Needs) -> Optional[RowPlan]:
        given = self.old_classes
        named = names_in_meta(source.meta) if given is None else given_names(given)
        classes = next((s.classes for s in built_splits(runner) if s.classes), None)
        old, new = named_rows(source, needs, named, classes)
        if new and not _names_all(needs, new):
            new = None  # ClassCountHook has something to say of that
        asked = bool(given or self.mapping)  # what was asked for is done, or refused
        return plan_for(old, new, self.mapping) if (old and new) or asked else None


def _meta(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    meta = checkpoint.get("meta")
    return meta if isinstance(meta, Mapping) else {}


def _names_all(needs: Needs, names: tuple[str, ...]) -> bool:
    """Whether there is a name for each class of the heads; some may have classes of their own."""
    counts = {tensor.count for tensor in needs.classes.values()}
    return not counts or len(names) in counts


def _put(state: MutableMapping[str, Any], tensors: Mapping[str, Any]) -> None:
    """Put adapted tensors in the place of those of the file; in place, to keep its metadata.

    MMEngine itself takes ``module.`` off, but not what ``torch.compile`` adds.
    """
    names = by_model_name(state)
    for name, tensor in tensors.items():
        if names[name] != name:
            del state[names[name]]
        state[name] = tensor


def _stop_if_resumed(report: AdaptReport) -> None:
    plan = report.plan
    other = plan is not None and not plan.moves_nothing
    if report.new or other:
        raise CheckpointMismatch(
            f"{report.source} is of a run with other classes and cannot be resumed: the optimizer "
            f"state in it belongs to its own rows\n{report.text()}\nTo start from its weights "
            "instead, set resume=False and load_from to its path; for classes that only have "
            "other names now, give HeadAdaptHook a mapping"
        )


def _log(logger: Any, report: AdaptReport) -> None:
    if report.changed:
        logger.info(report.text())
    telling = [d for d in report.diagnostics if d.code != "MSF504"]  # MMEngine lists those
    for found in telling if report.changed else (d for d in telling if d.code == "MSF505"):
        logger.warning(f"{report.source}: {found.code} {found.name}: {found.message}")

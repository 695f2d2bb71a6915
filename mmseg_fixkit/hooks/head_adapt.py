"""The hook that makes a checkpoint of other classes fit before it is copied into the model."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from mmseg_fixkit.checkpoint.adapt import ClassNames, ModelSpec, adapt
from mmseg_fixkit.checkpoint.contents import EMA, bare_name, source_of
from mmseg_fixkit.checkpoint.names import NamesLike, given_names
from mmseg_fixkit.checkpoint.report import AdaptReport
from mmseg_fixkit.checkpoint.rows import MappingLike
from mmseg_fixkit.core.errors import CheckpointMismatch
from mmseg_fixkit.hooks.built_classes import built_splits
from mmseg_fixkit.models.adapt import spec_of
from mmseg_fixkit.models.heads import loading_target
from mmseg_fixkit.rules.checkpoint import with_findings


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
        old_classes: names of the checkpoint's classes, in the order of its rows, or a dataset
            that the host knows (``'cityscapes'``); where left out, what its ``meta`` says. An
            empty list: they are not known, whatever ``meta`` says.
        mapping: ``old -> new`` (or list of new) for classes under other names; several old
            classes of one new are averaged.

    Raises:
        CheckpointMismatch: see above; also if class names and rows are not equally many, or if a
            run is to be resumed with other classes.
        FixkitError: ``mapping`` names an unknown class, or ``old_classes`` an unknown dataset.
    """

    # Before EMAHook, which copies the state dict into its average in after_load_checkpoint.
    priority = "VERY_HIGH"

    def __init__(self, old_classes: NamesLike = None, mapping: MappingLike = None) -> None:
        self.old_classes = old_classes
        self.mapping = mapping

    def after_load_checkpoint(self, runner: Any, checkpoint: MutableMapping[str, Any]) -> None:
        """Compare, move rows, and report."""
        name = str(runner._load_from or "the checkpoint")
        model = loading_target(runner.model)
        spec, state = spec_of(model), checkpoint.get("state_dict", checkpoint)
        source = source_of(state, name, _meta(checkpoint), ema=checkpoint.get(EMA))
        adapted = adapt(source, spec, self._names(runner, spec))
        if runner._resume:
            _stop_if_resumed(adapted.report)
        _put(state, adapted.state_dict)
        if adapted.ema is not None:
            checkpoint[EMA] = adapted.ema
        if is_main_process():
            _log(runner.logger, with_findings(adapted))

    def _names(self, runner: Any, spec: ModelSpec) -> ClassNames:
        new = next((s.classes for s in built_splits(runner) if s.classes), None)
        if new and not spec.has_rows_for(new):
            new = None  # ClassCountHook reports that
        return ClassNames(given_names(self.old_classes), new, self.mapping)


def _meta(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    meta = checkpoint.get("meta")
    return meta if isinstance(meta, Mapping) else {}


def _put(state: MutableMapping[str, Any], tensors: Mapping[str, Any]) -> None:
    """Put adapted tensors in the place of those of the file; in place, to keep its metadata.

    MMEngine itself takes ``module.`` off, but not what ``torch.compile`` adds.
    """
    names = {bare_name(name): name for name in state}
    for name, tensor in tensors.items():
        if names[name] != name:
            del state[names[name]]
        state[name] = tensor


def _stop_if_resumed(report: AdaptReport) -> None:
    plan = report.plan
    other = plan is not None and not plan.is_identity
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

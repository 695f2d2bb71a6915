"""Family 5: the checkpoint that a run starts from, and what deserves a look when it is adapted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Optional

from mmseg_fixkit.checkpoint.compare import ALLOWED, BACKBONES, Comparison, likely_reasons
from mmseg_fixkit.config.context import ConfigContext
from mmseg_fixkit.core.diagnostics import Diagnostic, Edit, KeyPath, Severity, finding, format_key
from mmseg_fixkit.core.rule import reported_rules, rule
from mmseg_fixkit.core.text import counted

if TYPE_CHECKING:
    from mmseg_fixkit.checkpoint.adapt import Adapted
    from mmseg_fixkit.checkpoint.report import AdaptReport
    from mmseg_fixkit.checkpoint.rows import ClassMapping


@rule("MSF501", "checkpoint-not-as-asked", requested=True)
def checkpoint_not_as_asked(context: ConfigContext) -> Iterator[Diagnostic]:
    """The run starts from another checkpoint than you asked for.

    ## What it does
    Speaks only in `mmseg-fix patch --load-from`. Sets `load_from`, and turns `resume` off:
    resuming takes the optimizer along, whose state belongs to the old heads.

    ## Why is this bad?
    It is no fault of the config; it is a change that you asked for.

    ## Example
    `mmseg-fix patch config.py --classes weed,crop --load-from pspnet_cityscapes.pth`

    ## Use instead
    The same command writes the change.

    ## Fix safety
    Safe, as you asked for it.

    ## References
    `Runner.load_or_resume` of mmengine 0.10.7.
    """
    wanted = context.options.load_from
    if wanted is None:
        return
    tree = context.document.tree
    if tree.get("load_from") != wanted:
        yield finding(
            ("load_from",),
            tree.get("load_from"),
            "you asked for",
            wanted,
            edits=[Edit(("load_from",), wanted)],
            title="Start from the checkpoint",
        )
    if tree.get("resume"):
        yield finding(
            ("resume",),
            True,
            "--load-from needs",
            False,
            edits=[Edit(("resume",), False)],
            title="Do not resume",
        )


@dataclass(frozen=True)
class CheckpointContext:
    """What is known of a checkpoint and the model that it is adapted to."""

    comparison: Comparison
    shared_classes: bool  # whether a head of the model has class layers that the checkpoint has too
    #: which old class each new one comes from; None where class names are not known
    classes: Optional[ClassMapping]


@rule("MSF502", "checkpoint-classes-unknown", reported=True)
def classes_unknown(context: CheckpointContext) -> Iterator[Diagnostic]:
    """The class names of the checkpoint or of the model are not known.

    ## What it does
    Speaks when a checkpoint is adapted (`mmseg-fix adapt`, `HeadAdaptHook`, `adapt_state_dict`)
    and the names of its classes stand neither in `meta.dataset_meta` nor in `meta.CLASSES`, or
    those of the model stand nowhere.

    ## Why is this bad?
    Rows of class layers are kept by name. Without names, layers of another size start from scratch,
    and rows of classes that both have are thrown away; layers of the same size are taken as they
    are, though the classes may stand in another order.

    ## Example
    A checkpoint of another framework, or one that was stripped of its `meta`.

    ## Use instead
    Name them: `mmseg-fix adapt old.pth config.py -o new.pth --old-classes soil,weed,crop`, or
    `old_classes` of `HeadAdaptHook`.

    ## Fix safety
    There is no fix: only you know the classes that the checkpoint was trained on.

    ## References
    `Runner.save_checkpoint` of mmengine 0.10.7, which writes `dataset_meta`.
    """
    if context.classes is None and context.shared_classes:
        yield _warning(
            ("meta", "dataset_meta", "classes"),
            "is not known on both sides, but rows are kept by class name; with the names of the "
            "checkpoint's classes and of the model's, rows of classes that both have are kept",
            None,
            None,
        )


@rule("MSF503", "checkpoint-class-renamed", reported=True)
def class_renamed(context: CheckpointContext) -> Iterator[Diagnostic]:
    """A new class is named much like one that is left out.

    ## What it does
    Compares the new classes that no old class is named like with the old ones that are left out,
    and speaks where two names are nearly the same: `raod` and `road`, `Road` and `road`.

    ## Why is this bad?
    Names are compared letter by letter. The row of the old class is thrown away, and the new class
    starts from scratch, though they are the same.

    ## Example
    A checkpoint with `road` and a config with `Road`.

    ## Use instead
    `mmseg-fix adapt old.pth config.py -o new.pth --map road=Road`.

    ## Fix safety
    There is no fix: two names that look alike may mean two things.

    ## References
    The guide to checkpoints in this documentation.
    """
    for old, new in context.classes.likely_renames() if context.classes else ():
        text = f"is {new!r}, but the checkpoint has {old!r}; {old}={new} in the mapping keeps it"
        yield _warning(("classes",), text, new, old)


@rule("MSF504", "checkpoint-tensors-missing", reported=True)
def tensors_missing(context: CheckpointContext) -> Iterator[Diagnostic]:
    """The model has tensors that the checkpoint lacks.

    ## What it does
    Counts, for each part of the model, the tensors that the checkpoint has under no name. A
    backbone that is largely missing is an error, not a warning.

    ## Why is this bad?
    These tensors start from scratch: after an auxiliary head was added, that is meant; after a
    layer was renamed, it is not. MMEngine says so in one line among many.

    ## Example
    A checkpoint of a model without the auxiliary head that the config has.

    ## Use instead
    Where it is not meant, the config that the checkpoint was trained with: its `meta.cfg`.

    ## Fix safety
    There is no fix.

    ## References
    `mmengine.runner.load_state_dict` of mmengine 0.10.7.
    """
    for part, names in _by_part(context.comparison.missing).items():
        text = f"has {counted(len(names), 'tensor')} that the checkpoint lacks, such as {names[0]}"
        yield _warning(("model", part), text, None, len(names))


@rule("MSF505", "checkpoint-of-more-layers", reported=True)
def of_more_layers(context: CheckpointContext) -> Iterator[Diagnostic]:
    """A large part of the checkpoint's backbone has no place in the model.

    ## What it does
    Speaks where more than a quarter of the tensors of the checkpoint's backbone are not in the
    model, though the model's own are all there.

    ## Why is this bad?
    A ResNet-101 loads into a ResNet-50 in this way: every layer of the smaller one finds weights,
    which were trained to work with the layers that are gone.

    ## Example
    A checkpoint of `pspnet_r101-d8` for a config of `pspnet_r50-d8`.

    ## Use instead
    A checkpoint of the same depth.

    ## Fix safety
    There is no fix.

    ## References
    `mmengine.runner.load_state_dict` of mmengine 0.10.7, which lists them as unexpected keys.
    """
    for backbone in BACKBONES:
        if context.comparison.share_unexpected(backbone) > ALLOWED:
            reasons = "; ".join(likely_reasons(context.comparison, backbone))
            text = f"is smaller than that of the checkpoint: {reasons}"
            yield _warning(("model", backbone[:-1]), text, None, None)


def with_findings(adapted: Adapted) -> AdaptReport:
    """Return the report of an adapted checkpoint with what deserves a look, by code."""
    plan = adapted.report.plan
    context = CheckpointContext(adapted.comparison, adapted.shared_classes, plan)
    found = tuple(d for each in reported_rules("MSF50") for d in each.run(context))
    return replace(adapted.report, diagnostics=found)


def _warning(key: KeyPath, message: str, found: object, expected: object) -> Diagnostic:
    """Return a warning whose ``message`` follows the key."""
    text = f"{format_key(key)} {message}"
    return Diagnostic("", "", text, key, found, expected, Severity.WARNING)


def _by_part(names: Iterable[str]) -> dict[str, list[str]]:
    parts: dict[str, list[str]] = {}
    for name in names:
        parts.setdefault(name.split(".")[0], []).append(name)
    return parts

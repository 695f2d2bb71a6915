"""``check`` and ``patch``: the whole way from a config to a report or a proved file.

What only a patch needs is imported when there is one: ``check`` runs in hooks and editors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

from mmseg_fixkit.diagnose import context_of, diagnose, known_palette, located
from mmseg_fixkit.diagnostics import Diagnostic, Report
from mmseg_fixkit.document import ConfigDocument
from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.labels import Color, LabelSpace
from mmseg_fixkit.load import ConfigLike, load
from mmseg_fixkit.registry import Rule, select_rules
from mmseg_fixkit.rules.context import ClassWeight, Context, DataLocation, Wishes
from mmseg_fixkit.rules.weights import checked_class_weight

if TYPE_CHECKING:
    from mmengine import Config

    from mmseg_fixkit.apply import Rendered
    from mmseg_fixkit.plan import FixPlan

#: A label space, names alone (colours are taken from the config's dataset where it has them), or
#: how many.
LabelsLike = Union[LabelSpace, Sequence[str], int]

WEIGHT_WORDS = ("keep", "none")


def check(
    config: ConfigLike,
    labels: Optional[LabelsLike] = None,
    *,
    select: Optional[Iterable[str]] = None,
    ignore: Optional[Iterable[str]] = None,
) -> Report:
    """Diagnose a config without changing anything.

    Args:
        config: a path, a zoo name such as ``mmseg::pspnet/….py``, or a ``mmengine.Config``.
        labels: what the classes are; those of the config's own dataset where left out.
        select: prefixes of the rule codes to run; all where left out.
        ignore: prefixes of the rule codes not to run.

    Raises:
        FixkitError: the config cannot be read, or nothing in it can be checked.
    """
    document = load(config)
    context, notes = _context(document, labels)
    found = diagnose(context, select_rules(select, ignore))
    return Report(document.name, context.labels, located(document, found), notes)


def patch(
    config: ConfigLike,
    labels: Optional[LabelsLike] = None,
    *,
    palette: Optional[Sequence[Color]] = None,
    class_weight: Union[str, Sequence[float], None] = None,
    ignore_index: Optional[int] = None,
    reduce_zero_label: Optional[bool] = None,
    data_root: Optional[str] = None,
    img_dir: Optional[str] = None,
    ann_dir: Optional[str] = None,
    img_suffix: Optional[str] = None,
    seg_map_suffix: Optional[str] = None,
    load_from: Optional[str] = None,
    guards: bool = True,
) -> Patch:
    """Plan the changes that set a config to ``labels``. Nothing is written.

    Args:
        config: a path, a zoo name such as ``mmseg::pspnet/….py``, or a ``mmengine.Config``, which
            is not changed.
        labels: what the classes are; those of the config's own dataset where left out. One class
            means foreground and background.
        palette: a colour for each class; where left out, datasets keep those that fit.
        class_weight: N weights (N + 1 are taken for query heads), ``'keep'`` or ``'none'``.
        ignore_index: the label value that is not counted; that of ``labels`` where left out.
        reduce_zero_label: whether the label files hold 0 for "ignored".
        data_root: where the data is.
        img_dir: folder of the images below it; ``{split}`` stands for train, val and test.
        ann_dir: folder of the label maps, likewise.
        img_suffix: what image names end with.
        seg_map_suffix: what label map names end with.
        load_from: the checkpoint to start from.
        guards: whether the runtime guards are added.

    Raises:
        FixkitError: the config cannot be read, or what is asked for does not fit it.
    """
    from mmseg_fixkit.plan import make_plan

    document = load(config)
    context, notes = _context(document, labels)
    if palette is not None:
        context = replace(context, labels=replace(context.labels, palette=tuple(palette)))
    if labels is not None and context.num_classes == 1:
        context = replace(context, labels=context.labels.with_background())
        notes += (
            f"one class means that and everything else: the classes are now "
            f"{', '.join(context.labels.classes)} (labels 0 and 1)",
        )
    if ignore_index is not None:
        context = replace(context, labels=replace(context.labels, ignore_index=ignore_index))
    wishes = Wishes(
        ignore_index=ignore_index,
        class_weight=_class_weight(document, context.num_classes, class_weight),
        reduce_zero_label=reduce_zero_label,
        data=DataLocation(data_root, img_dir, ann_dir, img_suffix, seg_map_suffix),
        load_from=load_from,
        palette=palette is not None,
        guards=guards,
    )
    rules = select_rules()
    context = replace(context, wishes=wishes)
    return Patch(context, rules, make_plan(context, rules), notes)


@dataclass(frozen=True)
class Patch:
    """A planned change of one config.

    Args:
        context: the config as loaded, the label space and what was asked for.
        rules: the rules that the plan was made with.
        plan: the edits.
        notes: what the user should know.
    """

    context: Context
    rules: tuple[Rule, ...]
    plan: FixPlan
    notes: tuple[str, ...] = ()

    @property
    def labels(self) -> LabelSpace:
        """The label space that the config is set to."""
        return self.context.labels

    @cached_property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Every finding with its place: those repaired by the plan first, then those left."""
        return located(self.context.document, (*self.plan.applied, *self.plan.left))

    @property
    def config(self) -> Config:
        """A patched copy as ``mmengine.Config``."""
        from mmengine.config import Config

        path = self.context.document.path
        return Config(self.plan.after, filename=str(path) if path else None)

    def diff(self, name: Optional[str] = None) -> str:
        """Return the change of the merged config as a unified diff; empty if there is none."""
        from mmseg_fixkit.diff import unified

        old = self.context.document.name
        return unified(self.plan.before, self.plan.after, old, name or f"{old} (patched)")

    def cfg_options(self) -> str:
        """Return the change as ``--cfg-options`` for ``tools/train.py``; empty if there is none.

        Raises:
            FixkitError: the change cannot be said in that form.
        """
        from mmseg_fixkit.cfg_options import render_cfg_options

        return render_cfg_options(self.plan)

    def render(self, output: Path, mode: str = "overlay") -> Rendered:
        """Return the file that :meth:`write` would write to ``output``."""
        from mmseg_fixkit.apply import render_flat, render_overlay

        if mode == "overlay":
            return render_overlay(self.context.document, self.plan, output)
        if mode == "flat":
            return render_flat(self.context.document, self.plan)
        raise FixkitError(f"there is no mode {mode!r}; the modes are overlay and flat")

    def write(
        self, path: Union[str, Path], mode: str = "overlay", *, overwrite: bool = False
    ) -> bool:
        """Write the patched config once it is proved; return False if it is there already.

        Args:
            path: the new file. The config that was patched is never written to.
            mode: ``'overlay'`` (inherits from the config) or ``'flat'`` (one file).
            overwrite: whether an existing file may be replaced.

        Raises:
            FixkitError: the file cannot be written, or the proof fails; nothing is written then.
        """
        from mmseg_fixkit.apply import write_proved

        output = Path(path)
        source = self.context.document.path
        if source is not None and output.resolve() == source.resolve():
            raise FixkitError(f"{output} is the config itself; give another file with -o")
        return write_proved(self.render(output, mode), output, self._replan, overwrite=overwrite)

    def _replan(self, document: ConfigDocument) -> FixPlan:
        from mmseg_fixkit.plan import make_plan

        return make_plan(replace(self.context, document=document), self.rules)


def _context(
    document: ConfigDocument, labels: Optional[LabelsLike]
) -> tuple[Context, tuple[str, ...]]:
    if labels is not None:
        space = label_space(document, labels)
        return Context(document, space, "your label space has", labels_given=True), ()
    context, notes = context_of(document)
    if context is None:
        raise FixkitError(f"{notes[0]}; give them with --classes or --num-classes")
    return context, notes


def label_space(document: ConfigDocument, labels: LabelsLike) -> LabelSpace:
    """Turn names or a count into a label space; colours of known classes are kept.

    Raises:
        FixkitError: see :class:`LabelSpace`.
    """
    if isinstance(labels, LabelSpace):
        return labels
    if isinstance(labels, int):
        return LabelSpace.of(labels)
    names = tuple(labels) if not isinstance(labels, str) else labels
    palettes = (known_palette(d, names) for d in document.datasets if not isinstance(names, str))
    palette = next((p for p in palettes if p is not None), None)
    return LabelSpace(names, palette)  # type: ignore[arg-type]


def _class_weight(
    document: ConfigDocument, num_classes: int, wish: Union[str, Sequence[Any], None]
) -> ClassWeight:
    """Check what was asked for; a text is read as the command line gives it."""
    if wish is None or wish in WEIGHT_WORDS:
        return wish
    said = wish if isinstance(wish, str) else ",".join(str(w) for w in wish)
    weights = [_number(w) for w in wish.split(",")] if isinstance(wish, str) else list(wish)
    return checked_class_weight(document, num_classes, weights, said)


def _number(text: str) -> Union[float, str]:
    try:
        return float(text)
    except ValueError:
        return text.strip()

"""``patch`` and ``repair``: the whole way from a config to a plan, and to a proved file.

How a plan is written is imported when it is: a run that patches its config in memory writes none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Optional, Union

from mmseg_fixkit.apis import patch_options
from mmseg_fixkit.apis.check import config_context, labels_for
from mmseg_fixkit.config.context import ConfigContext, DataLocation, MultiLabelFormat, PatchOptions
from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.label_space import context_of
from mmseg_fixkit.config.load import ConfigLike, load
from mmseg_fixkit.config.plan import FixPlan, located, make_plan
from mmseg_fixkit.core.diagnostics import Applicability, Diagnostic
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import real_path
from mmseg_fixkit.core.labels import Color, LabelsLike, LabelSpace
from mmseg_fixkit.core.rule import Rule
from mmseg_fixkit.rules import select_rules
from mmseg_fixkit.rules.binary import checked_binary

if TYPE_CHECKING:
    from mmengine import Config

    from mmseg_fixkit.config.overlay import Rendered


def patch(  # noqa: PLR0913 - its options are those of the command
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
    ann_file: Optional[str] = None,
    img_suffix: Optional[str] = None,
    seg_map_suffix: Optional[str] = None,
    load_from: Optional[str] = None,
    binary: Optional[str] = None,
    multilabel: bool = False,
    label_format: Optional[str] = None,
    file_pattern: Optional[str] = None,
    label_file: Optional[str] = None,
    label_values: Optional[int] = None,
    guards: bool = True,
) -> Patch:
    """Plan the changes that set a config to ``labels``. Nothing is written.

    Args:
        config: a path, a zoo name such as ``mmseg::pspnet/….py``, or a ``mmengine.Config``, which
            is not changed.
        labels: what the classes are; those of the config's own dataset where left out. Names
            alone have the colours that a dataset of the config has for them. One class means
            foreground and background.
        palette: a colour for each class; where left out, datasets keep those that fit.
        class_weight: N weights (N + 1 are taken for query heads), ``'keep'``, ``'none'``, or a
            method of :data:`~mmseg_fixkit.datasets.class_weights.METHODS`, for which the
            training labels are scanned.
        ignore_index: the label value that is not counted; that of ``labels`` where left out.
        reduce_zero_label: whether the label files hold 0 for "ignored".
        data_root: where the data is. Its layout is recognised if it is here; what is given of
            the following counts before that.
        img_dir: folder of the images below it; ``{split}`` stands for train, val and test.
        ann_dir: folder of the label maps, likewise.
        ann_file: list of the names of a split, likewise; empty for none.
        img_suffix: what image names end with.
        seg_map_suffix: what label map names end with.
        load_from: the checkpoint to start from.
        binary: ``'sigmoid'`` for two classes in one channel, ``'softmax'`` in two; where left
            out, the config's own way stays.
        multilabel: whether labels may overlap; a label space says it too.
        label_format: how label files hold labels that overlap: ``'bits'``, ``'planes'``,
            ``'files'`` or ``'coco'``.
        file_pattern: where the file of a label is, for ``'files'``.
        label_file: the JSON, for ``'coco'``; ``{split}`` stands for train, val and test.
        label_values: what planes and files write "on" as: 1, and 255 is ignored, or 255.
        guards: whether the runtime guards are added.

    Raises:
        FixkitError: the config cannot be read, or what is asked for does not fit it.
    """
    document = load(config)
    labels = _as_multilabel(document, labels) if multilabel else labels
    asked_multilabel = isinstance(labels, LabelSpace) and labels.multilabel
    context, notes = _with_overrides(document, labels, palette, ignore_index)
    files = MultiLabelFormat(label_format, file_pattern, label_file, label_values)
    patch_options.check_label_format(
        context, files, {"binary": binary, "reduce_zero_label": reduce_zero_label}
    )
    location = DataLocation(data_root, img_dir, ann_dir, ann_file, img_suffix, seg_map_suffix)
    given = labels is not None and not context.labels.multilabel
    weights = patch_options.read_class_weight(context, class_weight)
    notes += patch_options.multilabel_notes(context, files)
    data, of_data = _with_data_folder(document, location, context.labels if given else None)
    options = PatchOptions(
        ignore_index=ignore_index,
        class_weight=weights,
        reduce_zero_label=reduce_zero_label,
        data=data,
        load_from=load_from,
        binary=None if binary is None else checked_binary(document, context.labels, binary),
        palette=palette is not None,
        guards=guards,
        multilabel=files if asked_multilabel or files != MultiLabelFormat() else None,
    )
    context, of_weights = patch_options.with_computed_weights(replace(context, options=options))
    return _planned(context, notes + of_data + of_weights, select_rules())


def repair(
    config: ConfigLike,
    *,
    select: Optional[Iterable[str]] = None,
    ignore: Optional[Iterable[str]] = None,
    unsafe: bool = False,
) -> Patch:
    """Plan the fixes of what :func:`check` finds. Nothing is written.

    Args:
        config: as in :func:`check`.
        select: as in :func:`check`.
        ignore: as in :func:`check`.
        unsafe: whether fixes that change what is learned are made too.

    Raises:
        FixkitError: as in :func:`check`.
    """
    context, notes = config_context(load(config), None)
    minimum = Applicability.UNSAFE if unsafe else Applicability.SAFE
    return _planned(context, notes, select_rules(select, ignore), minimum)


@dataclass(frozen=True)
class Patch:
    """A planned change of one config.

    Args:
        context: the config as loaded, the label space and what was asked for.
        rules: the rules that the plan was made with.
        plan: the edits.
        notes: what the user should know.
        minimum: what a fix has to be at least to be made.
    """

    context: ConfigContext
    rules: tuple[Rule, ...]
    plan: FixPlan
    notes: tuple[str, ...] = ()
    minimum: Applicability = Applicability.SAFE

    @property
    def labels(self) -> LabelSpace:
        """The label space that the config is set to."""
        return self.context.labels

    @cached_property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Every finding with its place: those repaired by the plan first, then those left."""
        return located(self.context.document, (*self.plan.applied, *self.plan.remaining))

    @property
    def config(self) -> Config:
        """A patched copy as ``mmengine.Config``."""
        from mmengine.config import Config

        document, tree = self.context.document, self.plan.after
        if document.new_style:
            from mmseg_fixkit.config.lazy_import import qualified

            tree = qualified(tree)
        return Config(tree, filename=str(document.path) if document.path else None)

    def diff(self, name: Optional[str] = None) -> str:
        """Return the change of the merged config as a unified diff; empty if there is none."""
        from mmseg_fixkit.config.diff import unified

        old = self.context.document.name
        return unified(self.plan.before, self.plan.after, old, name or f"{old} (patched)")

    def cfg_options(self) -> str:
        """Return the change as ``--cfg-options`` for ``tools/train.py``; empty if there is none.

        Raises:
            FixkitError: the change cannot be written in that form.
        """
        from mmseg_fixkit.config.cfg_options import render_cfg_options

        return render_cfg_options(self.plan, self.context.document.new_style)

    def text_diff(self) -> str:
        """Return what :meth:`write_in_place` would change in the file, as a unified diff.

        Raises:
            FixkitError: see :func:`~mmseg_fixkit.config.in_place.render_in_place`.
        """
        from mmseg_fixkit.config.diff import unified_text
        from mmseg_fixkit.config.in_place import render_in_place

        rendered = render_in_place(self.context.document, self.plan)
        assert self.context.document.path is not None
        old = self.context.document.path.read_bytes().decode("utf-8")
        return unified_text(old, rendered.text, self.context.document.name)

    def render(self, output: Path, mode: str = "overlay") -> Rendered:
        """Return the file that :meth:`write` would write to ``output``."""
        if mode == "overlay":
            from mmseg_fixkit.config.overlay import render_overlay

            return render_overlay(self.context.document, self.plan, output)
        if mode == "flat":
            from mmseg_fixkit.config.overlay import render_flat

            return render_flat(self.context.document, self.plan)
        raise FixkitError(f"there is no mode {mode!r}; the modes are overlay and flat")

    def write(
        self, path: Union[str, Path], mode: str = "overlay", *, overwrite: bool = False
    ) -> bool:
        """Write the patched config once it is proved; return False if it is there already.

        Args:
            path: the new file, which ends with ``.py``. Of a link, the file that it points to is
                written. The config that was patched is never written to.
            mode: ``'overlay'`` (inherits from the config) or ``'flat'`` (one file).
            overwrite: whether an existing file may be replaced.

        Raises:
            FixkitError: the file cannot be written, or the proof fails; nothing is written then.
        """
        from mmseg_fixkit.config.write import write_proved

        output = Path(path)
        source = self.context.document.path
        if output.suffix != ".py":
            raise FixkitError(
                f"{output} does not end with .py; MMEngine reads configs in Python by no other name"
            )
        if source is not None and real_path(output) == real_path(source):
            raise FixkitError(
                f"{output} is the config itself; give another file with -o, or --in-place"
            )
        if self.context.document.inherits_from(output):
            raise FixkitError(
                f"{output} is a file that the config inherits from; give another file with -o"
            )
        return write_proved(self.render(output, mode), output, self._replan, overwrite=overwrite)

    def write_in_place(self) -> bool:
        """Change the config's own file once the change is proved; return False if there is none.

        Comments and layout stay. What the config inherits is overridden in its own file: the
        files that it inherits from are never written to.

        Raises:
            FixkitError: see :func:`~mmseg_fixkit.config.in_place.render_in_place`; or the file
                cannot be written, or the proof fails. Nothing is written then.
        """
        from mmseg_fixkit.config.in_place import render_in_place
        from mmseg_fixkit.config.write import write_proved

        if self.plan.empty:
            return False
        rendered = render_in_place(self.context.document, self.plan)
        assert self.context.document.path is not None
        path = self.context.document.path
        return write_proved(rendered, path, self._replan, overwrite=True)

    def _replan(self, document: ConfigDocument) -> FixPlan:
        return make_plan(replace(self.context, document=document), self.rules, self.minimum)


def _with_data_folder(
    document: ConfigDocument, location: DataLocation, labels: Optional[LabelSpace]
) -> tuple[DataLocation, tuple[str, ...]]:
    """Return what is asked for of the data, completed by what its folder holds, and notes."""
    given = (location.data_root, location.img_dir, location.ann_dir, location.ann_file)
    if all(value is None for value in given):  # an empty ann_file means that there is none
        return location, ()
    from mmseg_fixkit.apis.data_folder import inspect_data_root

    return inspect_data_root(document, location, labels)


def _planned(
    context: ConfigContext,
    notes: tuple[str, ...],
    rules: tuple[Rule, ...],
    minimum: Applicability = Applicability.SAFE,
) -> Patch:
    return Patch(context, rules, make_plan(context, rules, minimum), notes, minimum)


def _as_multilabel(document: ConfigDocument, labels: Optional[LabelsLike]) -> LabelSpace:
    """Return the labels as ones that may overlap; raise ``FixkitError`` if nothing says them."""
    if isinstance(labels, LabelSpace) and labels.multilabel:
        return labels
    if labels is None:
        found, notes = context_of(document)
        if found is None or notes:
            raise FixkitError(f"{notes[0]}; give the labels with --classes or --num-classes")
        labels = replace(found.labels, ignore_index=255, reduce_zero_label=False)
    return labels_for(document, labels).as_multilabel()


def _with_overrides(
    document: ConfigDocument,
    labels: Optional[LabelsLike],
    palette: Optional[Sequence[Color]],
    ignore_index: Optional[int],
) -> tuple[ConfigContext, tuple[str, ...]]:
    """Return the context with the labels and colours that are asked for, and notes."""
    context, notes = config_context(document, labels)
    if palette is not None:
        context = replace(context, labels=replace(context.labels, palette=tuple(palette)))
    one = context.num_classes == 1 and not context.labels.multilabel
    if one and (labels is not None or _names_classes(document)):
        context, note = _with_background(context)
        notes = (*notes, note)
    if ignore_index is not None:
        context = replace(context, labels=replace(context.labels, ignore_index=ignore_index))
    return context, notes


def _names_classes(document: ConfigDocument) -> bool:
    return any(dataset.classes for dataset in document.datasets)


def _with_background(context: ConfigContext) -> tuple[ConfigContext, str]:
    # The config's own single class is taken as if it had been given.
    given, _ = config_context(context.document, context.labels)
    context = replace(given, labels=context.labels.with_background())
    return context, (
        f"one class means that and everything else: the classes are now "
        f"{', '.join(context.labels.classes)} (labels 0 and 1)"
    )

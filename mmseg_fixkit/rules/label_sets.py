"""Family 4: label files that cannot be read, or do not go with their images or with one another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Optional

from mmseg_fixkit.core.diagnostics import Diagnostic, Severity
from mmseg_fixkit.core.palettes import Palette, pack
from mmseg_fixkit.core.rule import rule, select_reported
from mmseg_fixkit.core.text import counted, listed
from mmseg_fixkit.datasets import problems as p
from mmseg_fixkit.datasets.stats import Counts, LabelStats, Problem
from mmseg_fixkit.rules.scan_context import ScanContext, of_files, worst

FAMILY = "MSF4"


def findings(
    stats: LabelStats,
    select: Optional[Iterable[str]] = None,
    ignore: Optional[Iterable[str]] = None,
) -> tuple[Diagnostic, ...]:
    """Return what is wrong with the label files, in the order of the codes.

    Codes begin with what is in ``select``, and not in ``ignore``. Raises ``FixkitError`` where such
    a prefix fits no rule of this family.
    """
    context = ScanContext(stats)
    return tuple(d for rule in select_reported(FAMILY, select, ignore) for d in rule.run(context))


# --- each file ----------------------------------------------------------------------------------


@rule("MSF411", "label-unreadable", reported=True)
def unreadable(context: ScanContext) -> Iterator[Diagnostic]:
    """Label files cannot be read.

    ## What it does
    Decodes every label file whole. One that is cut off, empty, or not an image is found here, as is
    one that may not be read; and what stops the listing of a folder: one without permission, a link
    to itself, or to a folder that it lies in. Found too are files that the decoder of the pipeline
    refuses though others read them, and files that lack pixels, which decoders fill with zeros or
    leave as the memory was.

    ## Why is this bad?
    The run stops when it comes to that file, which may be hours after it began; or it learns what
    nobody drew.

    ## Example
    A PNG whose copying was interrupted.

    ## Use instead
    The file as it was: copy or download it again.

    ## Fix safety
    There is no fix.

    ## References
    `mmcv.imfrombytes` of mmcv 2.1.0.
    """
    for name, split, problem in context.having(p.UNREADABLE):
        yield context.finding(
            (name,),
            f"{name} labels cannot be read in {of_files(problem, split)}, but each is loaded in "
            f"training: {worst(problem, pixels=False)}; copy them again, or take them out",
            problem=problem,
            found=problem.files,
            expected=0,
        )


@rule("MSF412", "image-without-label", reported=True)
def image_without_label(context: ScanContext) -> Iterator[Diagnostic]:
    """Images have no label file.

    ## What it does
    Lists images as the dataset does, and looks for the label file of each.

    ## Why is this bad?
    MMSegmentation does not look when it starts: the run stops when it loads such an image.

    ## Example
    `img_dir/train/0007.jpg` without `ann_dir/train/0007.png`, or the wrong `seg_map_suffix`, which
    no label file ends with.

    ## Use instead
    `seg_map_suffix` as the label files end; or an `ann_file` with the names that have both.

    ## Fix safety
    There is no fix. `mmseg-fix patch --data-root DIR` finds the suffixes.

    ## References
    `BaseSegDataset.load_data_list` of mmsegmentation 1.2.2; mmsegmentation issues 345 and 3015.
    """
    for name, split, problem in context.having(p.NO_LABEL):
        every = problem.files == split.files
        todo = "check seg_map_suffix and data_prefix" if every else "label them, or leave them out"
        yield context.finding(
            (name,),
            f"{name} images have no label file in {problem.files:,} of "
            f"{counted(split.files, 'case')}, but the dataset lists them: "
            f"{worst(problem, pixels=False)}; {todo}",
            problem=problem,
            found=problem.files,
            expected=0,
        )


@rule("MSF413", "label-without-image", reported=True)
def label_without_image(context: ScanContext) -> Iterator[Diagnostic]:
    """Label files have no image, or a list names images that are not there.

    ## What it does
    Without an `ann_file`, looks for the image of each label file with the right ending. With one,
    looks for the image of each name.

    ## Why is this bad?
    Labels without image are not read: work that is not used, often because the images end with
    something else (`.jpeg`, `.JPG`). A listed image that is not there stops the run.

    ## Example
    `ann_dir/train/0007.png` with `img_dir/train/0007.jpeg` and `img_suffix='.jpg'`.

    ## Use instead
    `img_suffix` as the images end, or the images that are missing.

    ## Fix safety
    There is no fix. `mmseg-fix patch --data-root DIR` finds the suffixes.

    ## References
    `BaseSegDataset.load_data_list` of mmsegmentation 1.2.2.
    """
    for name, _, problem in context.having(p.NO_IMAGE):
        yield context.finding(
            (name,),
            f"{name} images of {counted(problem.files, 'name')} in its list are not there, but "
            f"training loads them: {worst(problem, pixels=False)}; add them, or take the names out",
            problem=problem,
            found=problem.files,
            expected=0,
        )
    for name, _, problem in context.having(p.UNUSED):
        yield context.finding(
            (name,),
            f"{name} labels of {counted(problem.files, 'file')} have no image, so they are not "
            f"read: {worst(problem, pixels=False)}; check img_suffix",
            problem=problem,
            found=problem.files,
            expected=0,
            severity=Severity.WARNING,
        )


@rule("MSF414", "label-size-differs", reported=True)
def size_differs(context: ScanContext) -> Iterator[Diagnostic]:
    """A label map differs in size from its image.

    ## What it does
    Compares the sizes of each image, as it is loaded, and its label map. A phone's images lie on
    their side in the file and are turned by their EXIF data when they are loaded; label maps drawn
    on the unturned image are on their side then.

    ## Why is this bad?
    The run stops where both are cropped or stacked (`stack expects each tensor to be equal size`),
    or the label is stretched over another image.

    ## Example
    An image of 4160 x 3120 and a label map of 1280 x 720.

    ## Use instead
    Label maps of the size of the images, resized with nearest-neighbour interpolation; images
    that are turned for good.

    ## Fix safety
    There is no fix: whether a label map is stretched, cropped or of another image, the sizes do
    not tell.

    ## References
    mmsegmentation issues 3610 and 3469.
    """
    for name, split, problem in context.having(p.SIZE):
        yield context.finding(
            (name,),
            f"{name} labels differ in size from their images in {of_files(problem, split)}, but "
            f"each pixel needs a label: {worst(problem)}; draw them again at the size of the image",
            problem=problem,
            found=problem.files,
            expected=0,
        )


# --- all files of a split -----------------------------------------------------------------------


@rule("MSF421", "labels-shifted", reported=True)
def shifted(context: ScanContext) -> Iterator[Diagnostic]:
    """Labels are one off: `reduce_zero_label` is likely wrong.

    ## What it does
    Compares the values in all files of a split with the classes. Without `reduce_zero_label`:
    labels end exactly one above the last class. With it: the values are exactly 0 to N - 1, so
    that the first class is ignored and the last never occurs.

    ## Why is this bad?
    Every pixel is learned as the class beside its own, and the first class is ignored; or the run
    stops at the highest label.

    ## Example
    A background of 0 and a foreground of 1, with a config made from one of ADE20K, which has
    `reduce_zero_label=True`: the background is ignored, and everything is predicted as foreground.

    ## Use instead
    `mmseg-fix patch config.py --reduce-zero-label` or `--no-reduce-zero-label`, as the message
    says. Where 0 is a class too, and labels run from 0 to N: N + 1 classes.

    ## Fix safety
    There is no fix without you: what 0 means in your files, only you know.

    ## References
    mmsegmentation issues 1714, 2508, 2425 and 855; `LoadAnnotations` of mmsegmentation 1.2.2.
    """
    count = context.stats.num_classes or 0
    last = context.names([count - 1])
    for name, split in context.stats.splits.items():
        key = (f"{name}_dataloader", "dataset", "reduce_zero_label")
        outside = split.problems.get(p.OUT_OF_RANGE)
        if outside is not None and context.begins_at_one(split):
            zero = split.raw.get(0, 0)
            zeros = f"0 has {counted(zero, 'pixel')}" if zero else "0 never occurs"
            either = (
                f"if 0 means 'ignored' in these files, {_patch(context, '--reduce-zero-label')}; "
                f"if it is a class, there are {count + 1}"
                if zero
                else f"if they count from 1, {_patch(context, '--reduce-zero-label')}"
            )
            yield context.finding(
                key,
                f"{name} labels go up to {count} in {of_files(outside, split)}, but "
                f"{context.allowed}, and {zeros}: {either}",
                problem=outside,
                found=False,
                expected=True,
            )
        if context.begins_at_zero(split):
            yield context.finding(
                key,
                f"{name} labels are exactly 0 to {count - 1} in {counted(split.files, 'file')}, "
                f"but {context.allowed}, so {counted(split.raw[0], 'pixel')} of 0 are ignored "
                f"and {last} never occurs; if 0 is a class, "
                f"{_patch(context, '--no-reduce-zero-label')}",
                found=True,
                expected=False,
            )


def _patch(context: ScanContext, option: str) -> str:
    source = context.stats.source
    if source.endswith(".py") or "::" in source:
        return f"run `mmseg-fix patch {source} {option}`"
    return f"the dataset needs reduce_zero_label={option.startswith('--reduce')}"


@rule("MSF422", "label-ids-of-cityscapes", reported=True)
def label_ids(context: ScanContext) -> Iterator[Diagnostic]:
    """Label files hold the 34 ids of Cityscapes, not its 19 classes.

    ## What it does
    Speaks where there are 19 classes and all values above them are ids that `labelIds` files have:
    19 to 33.

    ## Why is this bad?
    Ids that are no train id stop the loss; those below 19 are learned as other classes: 7, a road,
    as traffic sign.

    ## Example
    `seg_map_suffix='_gtFine_labelIds.png'`.

    ## Use instead
    `tools/dataset_converters/cityscapes.py` of MMSegmentation, which writes
    `_gtFine_labelTrainIds.png` beside them.

    ## Fix safety
    There is no fix: the files that are needed are others.

    ## References
    cityscapesScripts, `helpers/labels.py`; hszhao/semseg 29, fyu/drn 9.
    """
    for name, split, problem in context.having(p.OUT_OF_RANGE):
        if context.is_label_ids(split):
            yield context.finding(
                (name,),
                f"{name} labels are {min(problem.values)} to {max(problem.values)} in "
                f"{of_files(problem, split)}, as labelIds of Cityscapes are, but the 19 classes "
                f"are labelTrainIds: {worst(problem)}; run tools/dataset_converters/cityscapes.py "
                "of MMSegmentation and use seg_map_suffix='_gtFine_labelTrainIds.png'",
                problem=problem,
                found=sorted(problem.values),
                expected=19,
            )


@rule("MSF423", "class-never-occurs", reported=True)
def never_occurs(context: ScanContext) -> Iterator[Diagnostic]:
    """A class has no pixel in any file.

    ## What it does
    Counts the pixels of each class over all splits that were scanned. Silent where more than a
    tenth of the files of a split hold wrong values, which have findings of their own.

    ## Why is this bad?
    The model cannot learn it, its score is `nan`, and its weight in a weighted loss is undefined.
    Often it means that names and labels do not go together.

    ## Example
    A class that was named but never drawn.

    ## Use instead
    The classes that occur, or labels for this one.

    ## Fix safety
    There is no fix: fewer classes mean other labels.

    ## References
    `IoUMetric` of mmsegmentation 1.2.2; mmsegmentation issue 2081.
    """
    absent = _absent(context, tuple(context.pixels.values()))
    if context.pixels and absent:
        splits = listed(list(context.pixels))
        first = " Label 0 is among them: do labels count from 1?" if 0 in absent else ""
        yield context.finding(
            ("classes",),
            f"classes without a pixel in {splits} are {context.names(absent)}, but there are "
            f"{context.stats.num_classes} classes to learn; check the order of the names and "
            f"reduce_zero_label.{first}",
            found=[context.stats.name(label) for label in absent],
            expected=[],
            severity=Severity.WARNING,
        )


@rule("MSF424", "class-in-one-split-only", reported=True)
def one_split_only(context: ScanContext) -> Iterator[Diagnostic]:
    """A class occurs in training only, or only where it is scored.

    ## What it does
    Compares the classes of the training split with those of validation and test, where both were
    scanned. Silent where more than a tenth of the files of a split hold wrong values.

    ## Why is this bad?
    A class that is scored but never trained has a score of 0, which pulls the mean down. One that
    is trained but never scored has none.

    ## Example
    A rare class all of whose images went to validation.

    ## Use instead
    A split that gives each class to both sides.

    ## Fix safety
    There is no fix: a split is made by whoever knows the images.

    ## References
    `IoUMetric` of mmsegmentation 1.2.2.
    """
    train = context.pixels.get("train")
    for name, pixels in context.pixels.items():
        if name == "train" or train is None or pixels is None:
            continue
        untrained = [c for c in _absent(context, (train,)) if pixels.get(c)]
        unscored = [c for c in _absent(context, (pixels,)) if train.get(c)]
        if untrained:
            yield _one_sided(context, untrained, name, "train", "they cannot be learned")
        if unscored:
            yield _one_sided(context, unscored, "train", name, "they have no score")


def _one_sided(
    context: ScanContext, labels: Sequence[int], here: str, there: str, result: str
) -> Diagnostic:
    return context.finding(
        (there,),
        f"{there} labels have no pixel of {context.names(labels)}, but {here} labels have, so "
        f"{result}; move some images from {here} to {there}",
        found=[context.stats.name(label) for label in labels],
        expected=[],
        severity=Severity.WARNING,
    )


def _absent(context: ScanContext, counts: Sequence[Optional[Counts]]) -> list[int]:
    """Return the classes that have no pixel in any of ``counts``; none if one is not known."""
    known = [count for count in counts if count is not None]
    if len(known) < len(counts):
        return []
    return [c for c in range(context.stats.num_classes or 0) if not any(n.get(c) for n in known)]


@rule("MSF425", "file-in-two-splits", reported=True)
def two_splits(context: ScanContext) -> Iterator[Diagnostic]:
    """The same label file is in training and where it is scored.

    ## What it does
    Looks for label files that the training split shares with validation or test: the same file, or
    a copy of it. Maps with a single value are all alike, and are left out.

    ## Why is this bad?
    The score says how well the model remembers these images, not how well it does on others.

    ## Example
    `val_dataloader` with the `ann_file` of training.

    ## Use instead
    Splits that share no image.

    ## Fix safety
    There is no fix: which images are to be held back is your choice.

    ## References
    `BaseSegDataset.load_data_list` of mmsegmentation 1.2.2.
    """
    for name, split, problem in context.having(p.SAME_FILE):
        what = f"the files of another split, {of_files(problem, split)}"
        yield from _shared(context, name, problem, what)
    for name, split, problem in context.having(p.SAME_LABEL):
        what = f"the same in another split, {of_files(problem, split)}"
        yield from _shared(context, name, problem, what)


def _shared(context: ScanContext, name: str, problem: Problem, what: str) -> Iterator[Diagnostic]:
    """Report it of training and another split; validation and test are often the same."""
    if any(o.text.rpartition(" in ")[2].startswith("train") for o in problem.worst_files):
        yield context.finding(
            (name,),
            f"{name} labels are {what}, but scores are to say something about other images: "
            f"{worst(problem, pixels=False)}; leave them out of one of the two",
            problem=problem,
            found=problem.files,
            expected=0,
            severity=Severity.WARNING,
        )


@rule("MSF426", "palette-colour-twice", reported=True)
def colour_twice(context: ScanContext) -> Iterator[Diagnostic]:
    """Two classes have one colour, and label files hold it.

    ## What it does
    Where label files are colour masks, looks for colours in them that the palette of the classes
    has more than once.

    ## Why is this bad?
    The class of such a pixel is not known, so the masks cannot be turned into class indices.

    ## Example
    A table of colours with `(0, 255, 0)` for `tree` and for `grass`.

    ## Use instead
    A palette with a colour for each class, and masks drawn with it.

    ## Fix safety
    There is no fix.

    ## References
    mmsegmentation issue 2081.
    """
    palette = Palette("", context.stats.palette or ())
    for name, _, problem in context.having(p.COLOUR):
        for color, labels in palette.duplicates:
            pixels = problem.values.get(pack(color), 0)
            if pixels:
                yield context.finding(
                    ("metainfo", "palette"),
                    f"metainfo.palette is {color} for {context.names(labels)}, but the "
                    f"{name} labels have {counted(pixels, 'pixel')} of it, whose class is not "
                    "known; give each class a colour of its own, and draw the masks with it",
                    problem=problem,
                    found=list(color),
                    expected=None,
                )

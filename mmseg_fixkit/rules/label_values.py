"""Family 4: values in label files that training cannot use, or takes for something else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from mmseg_fixkit.core.diagnostics import Diagnostic, Severity
from mmseg_fixkit.core.palettes import EXPLAINS, PaletteMatch, best_match, candidates, unpack
from mmseg_fixkit.core.rule import rule
from mmseg_fixkit.core.text import counted, first_few, with_pixels
from mmseg_fixkit.datasets import problems as p
from mmseg_fixkit.datasets.stats import Problem
from mmseg_fixkit.rules.scan_context import NAMED, ScanContext, of_files, worst


@rule("MSF401", "label-out-of-range", reported=True)
def out_of_range(context: ScanContext) -> Iterator[Diagnostic]:
    """Label files hold values that are no class.

    ## What it does
    Reads every label file as the config's pipeline does, zero-label reduction and label map
    included, and looks for labels that are neither 0 to N - 1 nor the ignored one. Values that one
    cause explains (labels that count from 1, `labelIds`, masks of 0 and 255) have codes of their
    own.

    ## Why is this bad?
    Cross entropy stops with `Target 19 is out of bounds`, on a GPU with a device-side assert that
    names no file. Other losses clamp such labels or learn from them; `IoUMetric` leaves them out.

    ## Example
    A pixel of 19 in the files of a dataset with 19 classes.

    ## Use instead
    `mmseg-fix scan config.py --fix ignore --out DIR` for copies in which these pixels are ignored,
    or `AssertLabelBounds(action='ignore')` in the pipeline. Where the values are classes: more
    classes.

    ## Fix safety
    Nothing is changed in place: `--fix` writes copies into a new folder.

    ## References
    mmsegmentation issues 1553 and 3124; NVlabs/SegFormer 92.
    """
    for name, split, problem in context.having(p.OUT_OF_RANGE):
        if context.is_misread(split) or context.is_blurred_too(split):
            continue
        yield context.finding(
            (name,),
            f"{name} labels are {_with_pixels(problem)} in {of_files(problem, split)}, but "
            f"{context.allowed}: {worst(problem)}; {context.command('ignore')} writes copies with "
            "these pixels ignored",
            problem=problem,
            found=dict(problem.values),
            expected=context.stats.num_classes,
        )


@rule("MSF402", "label-wraps", reported=True)
def wraps(context: ScanContext) -> Iterator[Diagnostic]:
    """Label files hold values that do not fit into 8 bit.

    ## What it does
    Looks for values above 255 (or below 0), before the host's cast to 8 bit.

    ## Why is this bad?
    `LoadAnnotations` casts labels to 8 bit without a look: 256 becomes 0, 257 becomes 1. Nothing
    fails, and the wrong classes are learned.

    ## Example
    A 16-bit PNG of instance ids (`26001`), or of labels scaled to 16 bit (`1 * 257`).

    ## Use instead
    8-bit files that hold class indices: `mmseg-fix scan config.py --fix remap:… --out DIR`, with
    the class of each value.

    ## Fix safety
    Nothing is changed in place: `--fix` writes copies into a new folder.

    ## References
    `LoadAnnotations._load_seg_map` of mmsegmentation 1.2.2; mseg-dataset/mseg-api 13.
    """
    for name, split, problem in context.having(p.WRAPS):
        first = min(problem.values, key=lambda value: (-problem.values[value], value))
        yield context.finding(
            (name,),
            f"{name} labels are {_with_pixels(problem)} in {of_files(problem, split)}, but "
            f"MMSegmentation casts labels to 8 bit, so {first} is read as {first % 256}: "
            f"{worst(problem)}; {_wrapped_advice(context, problem)}",
            problem=problem,
            found=dict(problem.values),
            expected=255,
        )


def _wrapped_advice(context: ScanContext, problem: Problem) -> str:
    if all(value % 257 == 0 for value in problem.values):
        shown = sorted(problem.values)
        table = ",".join(f"{value}={value // 257}" for value in shown[:3])
        cause = "all are multiples of 257, as when 8-bit labels are scaled to 16 bit; "
        return f"{cause}{context.command(f'remap:{table},…')} writes them back"
    return f"{context.command('remap:OLD=NEW,…')} writes 8-bit copies"


@rule("MSF403", "label-is-colour-mask", reported=True)
def colour_mask(context: ScanContext) -> Iterator[Diagnostic]:
    """Label files hold colours where class indices belong.

    ## What it does
    Looks for label files that are decoded to several channels, and tries which palette explains
    their colours: that of the classes, of Cityscapes, ADE20K or PASCAL VOC. A palette file is one
    of these where `imdecode_backend` is `cv2`, which returns the colours of its indices.

    ## Why is this bad?
    The label map is (H, W, 3) then, and the loss stops with `only batches of spatial targets
    supported (3D tensors)`.

    ## Example
    `frankfurt_000000_000294_gtFine_color.png` as a label map.

    ## Use instead
    `mmseg-fix scan config.py --fix palette --out DIR`, which writes the class of each colour. For
    a palette file: `imdecode_backend='pillow'`, the default, which reads its indices.

    ## Fix safety
    Nothing is changed in place: `--fix` writes copies into a new folder.

    ## References
    mmsegmentation issues 3055, 970 and 1652.
    """
    palettes = candidates(context.stats.palette)
    for name, split, problem in context.having(p.COLOUR):
        match = best_match(problem.values, palettes)
        advice = _color_advice(context, problem, match)
        yield context.finding(
            (name,),
            f"{name} labels are {counted(len(problem.values), 'colour')} in "
            f"{of_files(problem, split)}, but a class index is needed in each pixel: "
            f"{worst(problem)}; {advice}",
            problem=problem,
            found=[list(unpack(color)) for color in list(problem.values)[:20]],
            expected="one channel",
        )


def _with_pixels(problem: Problem) -> str:
    return with_pixels(sorted(problem.values.items()), NAMED)


def _color_advice(context: ScanContext, problem: Problem, match: Optional[PaletteMatch]) -> str:
    if all(bad.text == "mode P" for bad in problem.worst_files):
        return (
            "they are palette files, whose indices imdecode_backend='pillow' reads, but the "
            "pipeline has another backend: take it out of LoadAnnotations"
        )
    if match is None or match.share < EXPLAINS:
        return (
            "no palette known here explains them; give yours with --palette and "
            f"{context.command('palette')}"
        )
    left = [str(unpack(color)) for color in match.left]
    rest = f", but for {first_few(left, NAMED)}," if left else ""
    given = context.stats.palette is not None and match.palette.colors == context.stats.palette
    mode = "palette" if given else f"palette:{match.palette.name.split()[-1].lower()}"
    return (
        f"{match.palette.name} explains {match.share:.0%} of the pixels{rest} and "
        f"{context.command(mode)} writes the class of each colour"
    )


@rule("MSF404", "label-is-grey-picture", reported=True)
def grayscale_as_rgb(context: ScanContext) -> Iterator[Diagnostic]:
    """Label files hold each value three times.

    ## What it does
    Looks for label files of several channels that are equal: grayscale images saved as RGB.

    ## Why is this bad?
    The label map is (H, W, 3), and the loss stops, though one channel would be right.

    ## Example
    A mask saved as RGB by an editor: `(3, 3, 3)` in each pixel of class 3.

    ## Use instead
    `mmseg-fix scan config.py --fix grey --out DIR`, which keeps one channel.

    ## Fix safety
    Nothing is changed in place: `--fix` writes copies into a new folder.

    ## References
    mmsegmentation issue 970.
    """
    for name, split, problem in context.having(p.GREY):
        yield context.finding(
            (name,),
            f"{name} labels are grayscale images saved as RGB in {of_files(problem, split)}, "
            f"but one channel is needed: {worst(problem)}; {context.command('grey')} keeps one",
            problem=problem,
            found=problem.files,
            expected="one channel",
        )


@rule("MSF405", "label-of-0-and-255", reported=True)
def binary(context: ScanContext) -> Iterator[Diagnostic]:
    """Masks hold 255 for the foreground, which is the ignored label.

    ## What it does
    Speaks where the label files of a split hold nothing but 0 and 255; of two classes also where
    some files hold 0 and 255, and all others 0 and 1.

    ## Why is this bad?
    255 is the label that no loss and no metric counts: the foreground is never learned, and the
    score is 0 or 100 from the first validation on.

    ## Example
    A mask drawn in black and white.

    ## Use instead
    `mmseg-fix scan config.py --fix binary --out DIR`, which writes 0 and 1.

    ## Fix safety
    Nothing is changed in place: `--fix` writes copies into a new folder.

    ## References
    mmsegmentation issues 1609 and 3753; milesial/Pytorch-UNet 405.
    """
    for name, split, problem in context.having(p.BINARY):
        if context.is_binary(split):
            whole = set(split.raw) <= {0, 255}
            others = "" if whole else ", though other files hold 1"
            ignored = f", but {context.stats.ignore_index} is the ignored label"
            yield context.finding(
                (name,),
                f"{name} labels are 0 and 255 alone in {of_files(problem, split)}{others}"
                f"{ignored}, so the foreground is never learned: {worst(problem)}; "
                f"{context.command('binary')} writes 0 and 1",
                problem=problem,
                found=[0, 255],
                expected=[0, 1],
            )


@rule("MSF406", "label-is-jpeg", reported=True)
def jpeg(context: ScanContext) -> Iterator[Diagnostic]:
    """Label files are JPEGs, which do not keep values.

    ## What it does
    Looks at the format of each label file, whatever its name ends with.

    ## Why is this bad?
    JPEG changes values around every boundary. A mask of 0 and 1 gets other values, which stop the
    loss, or are learned as other classes where they happen to be some.

    ## Example
    `mask_0001.jpg`, or a JPEG that was renamed to `.png`.

    ## Use instead
    The masks in a lossless format, as the labelling tool has them: PNG.

    ## Fix safety
    There is no fix: what was lost is not known.

    ## References
    mantasu/glasses-detector 23; milesial/Pytorch-UNet 363.
    """
    for name, split, problem in context.having(p.JPEG):
        yield context.finding(
            (name,),
            f"{name} labels are JPEG in {of_files(problem, split)}, but JPEG changes values at "
            f"boundaries: {worst(problem)}; export them again as PNG",
            problem=problem,
            found="JPEG",
            expected="PNG",
        )


@rule("MSF407", "label-is-blurred", reported=True)
def blurred(context: ScanContext) -> Iterator[Diagnostic]:
    """Label files hold values that interpolation made.

    ## What it does
    Looks for files with many rare values that are no class and lie between frequent ones: twelve
    at least, over a range of 64 or more; where the classes are not known 32, all over the range.

    ## Why is this bad?
    Such values come from resizing with interpolation, from anti-aliased drawing, or from a JPEG
    that was saved as PNG. They stop the loss, and those that happen to be classes are learned as
    such.

    ## Example
    A mask of 0 and 255 that was made smaller with bilinear interpolation.

    ## Use instead
    Masks resized with nearest-neighbour interpolation, from the ones of full size.

    ## Fix safety
    There is no fix: the class at a boundary is not known. `--fix ignore` writes copies in which
    values that are no class are ignored.

    ## References
    nnUNet issues 1777 and 2404.
    """
    for name, split, problem in context.having(p.BLURRED):
        yield context.finding(
            (name,),
            f"{name} labels are {counted(len(problem.values), 'value')} between classes "
            f"({counted(problem.pixels, 'pixel')}) in {of_files(problem, split)}, but labels are "
            "not interpolated; such values come from smooth resizing, anti-aliasing or JPEG: "
            f"{worst(problem)}; resize them again, with nearest-neighbour interpolation",
            problem=problem,
            found=len(problem.values),
            expected=0,
        )


@rule("MSF408", "label-all-ignored", reported=True)
def all_ignored(context: ScanContext) -> Iterator[Diagnostic]:
    """Label files have no pixel of a class.

    ## What it does
    Looks for files all of whose pixels are ignored, after zero-label reduction and label map.

    ## Why is this bad?
    Nothing is learned from such an image, and some losses divide by the number of pixels that
    count: `nan`.

    ## Example
    A map of 0 alone, with `reduce_zero_label=True`.

    ## Use instead
    A list of names (`ann_file`) without these images; or other classes, where a label map drops
    all that they show.

    ## Fix safety
    There is no fix: whether the image is of use, only you know.

    ## References
    `CrossEntropyLoss` of mmsegmentation 1.2.2 with `avg_non_ignore=True`.
    """
    for name, split, problem in context.having(p.IGNORED):
        if not context.is_misread(split):
            yield context.finding(
                (name,),
                f"{name} labels are {context.stats.ignore_index} (ignored) in every pixel of "
                f"{of_files(problem, split)}, but an image without a class teaches nothing: "
                f"{worst(problem, pixels=False)}; leave them out with an ann_file",
                problem=problem,
                found=context.stats.ignore_index,
                expected=None,
                severity=Severity.WARNING,
            )

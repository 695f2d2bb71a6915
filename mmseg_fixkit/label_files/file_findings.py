"""Family 4: label files that cannot be read, or do not go with their images."""

from __future__ import annotations

from collections.abc import Iterator

from mmseg_fixkit.core.text import counted
from mmseg_fixkit.diagnostics import Diagnostic, Severity
from mmseg_fixkit.label_files import problems as p
from mmseg_fixkit.label_files.saying import ScanFacts, of_files, worst
from mmseg_fixkit.registry import rule


@rule("MSF411", "label-unreadable", reported=True)
def unreadable(facts: ScanFacts) -> Iterator[Diagnostic]:
    """Label files cannot be read.

    ## What it does
    Decodes every label file whole. One that is cut off, empty, or no picture is found here, as is
    one that may not be read.

    ## Why is this bad?
    The run stops when it comes to that file, which may be hours after it began.

    ## Example
    A PNG whose copying was interrupted.

    ## Use instead
    The file as it was: copy or download it again.

    ## Fix safety
    There is no fix.

    ## References
    `mmcv.imfrombytes` of mmcv 2.1.0.
    """
    for name, split, problem in facts.having(p.UNREADABLE):
        yield facts.finding(
            (name,),
            f"{name} labels cannot be read in {of_files(problem, split)}, but each is loaded in "
            f"training: {worst(problem, pixels=False)}; copy them again",
            problem=problem,
            found=problem.files,
            expected=0,
        )


@rule("MSF412", "image-without-label", reported=True)
def image_without_label(facts: ScanFacts) -> Iterator[Diagnostic]:
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
    for name, split, problem in facts.having(p.NO_LABEL):
        every = problem.files == split.files
        todo = "check seg_map_suffix and data_prefix" if every else "label them, or leave them out"
        yield facts.finding(
            (name,),
            f"{name} images have no label file in {problem.files:,} of "
            f"{counted(split.files, 'case')}, but the dataset lists them: "
            f"{worst(problem, pixels=False)}; {todo}",
            problem=problem,
            found=problem.files,
            expected=0,
        )


@rule("MSF413", "label-without-image", reported=True)
def label_without_image(facts: ScanFacts) -> Iterator[Diagnostic]:
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
    for name, _, problem in facts.having(p.NO_IMAGE):
        yield facts.finding(
            (name,),
            f"{name} images of {counted(problem.files, 'name')} in its list are not there, but "
            f"training loads them: {worst(problem, pixels=False)}; add them, or take the names out",
            problem=problem,
            found=problem.files,
            expected=0,
        )
    for name, _, problem in facts.having(p.UNUSED):
        yield facts.finding(
            (name,),
            f"{name} labels of {counted(problem.files, 'file')} have no image, so they are not "
            f"read: {worst(problem, pixels=False)}; check img_suffix",
            problem=problem,
            found=problem.files,
            expected=0,
            severity=Severity.WARNING,
        )


@rule("MSF414", "label-size-differs", reported=True)
def size_differs(facts: ScanFacts) -> Iterator[Diagnostic]:
    """A label map is not as large as its image.

    ## What it does
    Compares the sizes of each image, as it is loaded, and its label map. A phone's pictures lie on
    their side in the file and are turned by their EXIF data when they are loaded; label maps drawn
    on the unturned picture are on their side then.

    ## Why is this bad?
    The run stops where both are cropped or stacked (`stack expects each tensor to be equal size`),
    or the label is stretched over another picture.

    ## Example
    An image of 4160 x 3120 and a label map of 1280 x 720.

    ## Use instead
    Label maps of the size of the images, resized with nearest-neighbour interpolation; images
    that are turned for good.

    ## Fix safety
    There is no fix: whether a label map is stretched, cropped or of another picture, the sizes do
    not tell.

    ## References
    mmsegmentation issues 3610 and 3469.
    """
    for name, split, problem in facts.having(p.SIZE):
        yield facts.finding(
            (name,),
            f"{name} labels differ in size from their images in {of_files(problem, split)}, but "
            f"each pixel needs a label: {worst(problem)}; draw them again at the size of the image",
            problem=problem,
            found=problem.files,
            expected=0,
        )

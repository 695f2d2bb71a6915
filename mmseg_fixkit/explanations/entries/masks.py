"""Label files of another form: colours, sizes, types, broken files."""

from __future__ import annotations

from mmseg_fixkit.explanations.entry import Entry

_SCAN = "mmseg-fix scan {config}  # names every file of that kind"

ENTRIES = (
    Entry(
        id="label-has-channels",
        title="The label files are colour pictures, not class indices",
        rank=40,
        patterns=(
            r"only batches of spatial targets supported \( (?:non-empty)? 3D tensors\) but got "
            r"targets of (?:size: (?:\:)? \[(?P<shape>[\d,]+)\]|dimension:? (?P<dims>\d+))",
            r"only batches of spatial targets supported",
            r"usually the segmentation map is 2D, but got \((?P<shape>[\d,]+)\)",
            r"size shape must match input shape\. Input is 2D, size is 3",
            r"(?P<file>[\w./\\:-]+?) has the shape \((?P<shape>[\d,]+)\), but a label map is "
            r"\(H,W\)",
        ),
        anchors=(
            "onlybatchesofspatialtargets",
            "usuallythesegmentationmapis2D",
            "sizeshapemustmatchinputshape",
            ",butalabelmapis(H",
        ),
        what=(
            "The label map {file} has the shape ({shape}), but one number per pixel is needed: the "
            "index of its class.",
            "A label map has the shape ({shape}), but one number per pixel is needed: the index of "
            "its class.",
            "A label map has channels, but one number per pixel is needed: the index of its class.",
        ),
        why="The masks were saved as RGB pictures. Pillow reads a palette PNG (mode P) as indices; "
        "an RGB PNG stays three channels and reaches the loss that way.",
        sure="python -c \"from PIL import Image; print(Image.open('MASK.png').mode)\" prints RGB "
        "or RGBA; it should print L or P.",
        next=(
            _SCAN,
            "Convert each colour to its class index, once, into a new folder: `mmseg-fix scan` "
            "names the colours.",
        ),
        examples=(
            "RuntimeError: only batches of spatial targets supported (3D tensors) but got targets "
            "of size: : [2, 256, 256, 3]",
            "RuntimeError: 1only batches of spatial targets supported (3D tensors) but got targets "
            "of size: : [4, 512, 512, 3]",
            "RuntimeError: only batches of spatial targets supported (non-empty 3D tensors) but "
            "got targets of size: : [2, 256, 256, 3]",
            "RuntimeError: only batches of spatial targets supported (3D tensors) but got targets "
            "of dimension: 4",
            "UserWarning: Please pay attention your ground truth segmentation map, usually the "
            "segmentation map is 2D, but got (512, 512, 3)",
            "size shape must match input shape. Input is 2D, size is 3",
            "mmseg_fixkit.runtime.errors.LabelOutOfBounds: data/ann/a.png has the shape (4, 4, 3), "
            "but a label map is (H, W) with a class index in each pixel",
        ),
        references=("mmseg#3055", "mmseg#3020", "mmseg#550", "mmdet#7340"),
    ),
    Entry(
        id="too-many-values",
        title="A shape has three numbers where two are expected",
        rank=41,
        patterns=(r"too many values to unpack \(expected 2\)",),
        anchors=("toomanyvaluestounpack(expected2)",),
        what="Code that expects (height, width) got a third number.",
        why="In segmentation that is a label map with colour channels, (H, W, 3), or, with "
        "RandomMosaic before GenerateEdge, an img_shape of three numbers. The text alone is "
        "Python's own: the lines above it have to be of mmseg or mmcv.",
        sure="The last lines of the traceback name the transform; the scan names colour masks.",
        next=(_SCAN, "With RandomMosaic and GenerateEdge: take img_shape[:2]."),
        examples=("ValueError: too many values to unpack (expected 2)",),
        after=("label-has-channels",),
        references=("mmseg#970", "mmseg#3286"),
    ),
    Entry(
        id="label-size-differs",
        title="A label map has another size than its image",
        rank=42,
        patterns=(
            r"stack expects each tensor to be equal size, but got \[(?P<first>[\d,]+)\] at entry "
            r"\d+ and \[(?P<second>[\d,]+)\]",
            r"size mismatch \(got input: \[(?P<first>[\d,]+)\] , target: \[(?P<second>[\d,]+)\]",
            r"input and target batch or spatial sizes don't match: target \[(?P<second>[\dx,]+)\],"
            r" input \[(?P<first>[\dx,]+)\]",
        ),
        anchors=(
            "stackexpectseachtensor",
            "sizemismatch(gotinput",
            "inputandtargetbatchorspatial",
        ),
        what="Sizes that have to be equal are {first} and {second}.",
        why="One label file has another size than its image, so crops differ, or a batch holds "
        "samples of several sizes because no step of the pipeline brings them to one.",
        sure="The scan compares sizes of all pairs; it happens only on the batch that has the "
        "file.",
        next=(
            _SCAN,
            "If all pairs agree: the train pipeline needs a RandomCrop or Resize to one size, or "
            "data_preprocessor.size.",
        ),
        examples=(
            "RuntimeError: stack expects each tensor to be equal size, but got [1, 677, 347] at "
            "entry 0 and [1, 512, 512] at entry 1",
            "RuntimeError: size mismatch (got input: [2, 3, 8, 8] , target: [2, 4, 4]",
            "RuntimeError: input and target batch or spatial sizes don't match: target [2, 4, 4], "
            "input [2, 3, 8, 8]",
        ),
        references=("mmseg#3610",),
    ),
    Entry(
        id="label-resized-in-validation",
        title="In validation, the label map has another size than the prediction",
        rank=42,
        patterns=(
            r"The shape of the mask \[(?P<mask>[\d,]+)\] at index \d+ does not match the shape of "
            r"the indexed tensor \[(?P<tensor>[\d,]+)\]",
            r"boolean index did not match indexed array along (?:dimension|axis) \d+; (?:dimension "
            r"is|size of axis is) (?P<tensor>\d+) but (?:corresponding boolean dimension|size of "
            r"corresponding boolean axis) is (?P<mask>\d+)",
        ),
        anchors=("Theshapeofthemask[", "didnotmatchindexedarray"),
        what="The label map is {mask}, the prediction {tensor}.",
        why="A validation or test pipeline loads the label before Resize, so that it is resized "
        "too, while the prediction is brought back to the size of the image; or the label file has "
        "another size than its image.",
        sure="MSF209 finds the first cause in the config; the scan finds the second in the files.",
        next=(
            "mmseg-fix check {config} --fix  # MSF209 moves LoadAnnotations behind Resize",
            _SCAN,
        ),
        examples=(
            "IndexError: The shape of the mask [1280, 720] at index 0 does not match the shape of "
            "the indexed tensor [3120, 4160] at index 0",
            "IndexError: boolean index did not match indexed array along dimension 0; dimension is "
            "512 but corresponding boolean dimension is 1024",
            "IndexError: boolean index did not match indexed array along axis 0; size of axis is "
            "512 but size of corresponding boolean axis is 1024",
        ),
        rules=("MSF209",),
        references=("mmseg#3469", "mmseg#2302", "mmseg#2763"),
    ),
    Entry(
        id="label-type",
        title="The labels have a number type that the loss does not take",
        rank=44,
        patterns=(
            r"expected scalar type Long but found (?P<type>[A-Z][a-z]+)",
            r"expected target dtype to be Long or Byte, but got (?P<type>[A-Z][a-z]+)",
            r'"nll_loss\w*" not implemented for \'(?P<type>[A-Z]\w+)\'',
        ),
        anchors=("expectedscalartypeLong", "expectedtargetdtype", '"nll_loss'),
        what="The labels are of type {type}, but cross entropy takes whole numbers of 64 bits "
        "(Long).",
        why="A transform or a data set of your own hands on labels as they are. LoadAnnotations "
        "makes them uint8 and PackSegInputs int64; normalised or interpolated labels are Float.",
        sure="Print results['gt_seg_map'].dtype after each step of your own.",
        next=(
            "Load labels with LoadAnnotations and pack them with PackSegInputs, or add "
            ".astype(np.int64); a label that was interpolated has to be made anew, as it holds "
            "values between classes.",
            "mmseg-fix preflight {config}  # sends samples through the pipeline",
        ),
        examples=(
            "RuntimeError: expected scalar type Long but found Byte",
            "RuntimeError: expected scalar type Long but found Float",
            "RuntimeError: expected target dtype to be Long or Byte, but got Int",
            'RuntimeError: "nll_loss_forward_reduce_cuda_kernel_2d_index" not implemented for '
            "'Int'",
            "RuntimeError: \"nll_loss2d_forward_out_frame\" not implemented for 'Half'",
        ),
    ),
    Entry(
        id="label-not-whole",
        title="Labels between the classes: they were interpolated or normalised",
        rank=43,
        patterns=(
            r"(?P<file>[\w./\\:-]+?) is labelled (?P<values>.{1,200}?), but class indices are "
            r"whole",
        ),
        anchors=(",butclassindicesarewhole",),
        what="The label map {file} holds values that are no whole numbers.",
        why="A step resized the labels with interpolation, or divided them like an image.",
        sure="Look for Resize, Normalize or a step of your own behind LoadAnnotations.",
        next=(
            "Resize labels with interpolation='nearest', and do not normalise them.",
            "mmseg-fix check {config}",
        ),
        examples=(
            "LabelOutOfBounds: data/ann/a.png is labelled 0.5 (3 pixels), but class indices are "
            "whole numbers; labels are resized with interpolation='nearest' and never normalised",
        ),
    ),
    Entry(
        id="file-unreadable",
        title="An image or label file cannot be read",
        rank=36,
        patterns=(
            r"cannot identify image file '?(?P<file>[^'\s]+?)'?(?:>|$|'|File|\[)",
            r"image file is truncated",
            r"broken data stream when reading image file",
        ),
        anchors=("cannotidentifyimagefile", "imagefileistruncated", "brokendatastream"),
        what="A file is empty, cut short, or no picture.",
        why="A copy or download was interrupted, or the folder holds other files (.json, Git LFS "
        "pointers, web pages) under the name of a picture.",
        sure="The scan opens every file and lists those that fail, with the reason.",
        next=(_SCAN,),
        examples=(
            "PIL.UnidentifiedImageError: cannot identify image file 'data/ann/0001.png'",
            "PIL.UnidentifiedImageError: cannot identify image file <_io.BytesIO object at "
            "0x7f2a3c0d1e90>",
            "OSError: image file is truncated (12 bytes not processed)",
            "OSError: broken data stream when reading image file",
        ),
    ),
)

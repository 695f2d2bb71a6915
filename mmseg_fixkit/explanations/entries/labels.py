"""Label values that are no class."""

from __future__ import annotations

from mmseg_fixkit.explanations.entry import Cause, Entry

_SCAN = "mmseg-fix scan {config}  # lists every file with such values, worst first"
_GUARD = (
    "mmseg-fix patch {config}  # adds AssertLabelBounds, which names the file before the loss sees "
    "it"
)

ENTRIES = (
    Entry(
        id="label-out-of-range",
        title="A label is no class of the head",
        rank=50,
        patterns=(
            r"Target (?P<value>-?(?!255\D)\d+) is out of bounds",
            r"Assertion [`'] (?:t|cur_target) >= 0 && (?:t|cur_target) < n_classes",
            r"(?P<file>[\w./\\:-]+?) is labelled (?P<value>-?\d+) \(.{1,400}? but AssertLabelBounds"
            r" has num_classes=(?P<classes>\d+)",
            r"is labelled .{1,300}? but AssertLabelBounds has num_classes=(?P<classes>\d+)",
        ),
        anchors=("isoutofbounds", "<n_classes", "butAssertLabelBounds"),
        what=(
            "The label file {file} holds the value {value}, but the head has {classes} classes, "
            "that is 0 to {classes_minus_1}.",
            "A pixel is labelled {value}, and the head has no output for it: the labels may be 0 "
            "to N - 1, and the ignored value (255).",
            "A pixel has a label that the head has no output for: the labels may be 0 to N - 1, "
            "and the ignored value (255).",
        ),
        why="The files number the classes otherwise than the config: from 1 on, by grey values, by "
        "the original ids of the data set (Cityscapes: labelIds instead of labelTrainIds), with "
        "one class more than you count, or 0 means 'ignored' and reduce_zero_label is not set. "
        "Raising num_classes until it runs hides the fault: those classes are then learned.",
        sure="The scan shows each value and how many files have it: one value that equals N means "
        "counting from 1, values like 85, 170, 255 mean grey values.",
        next=(
            _SCAN,
            "mmseg-fix check {config}  # whether head, dataset and reduce_zero_label agree",
            _GUARD,
        ),
        examples=(
            "../aten/src/ATen/native/cuda/NLLLoss2d.cu:103: nll_loss2d_forward_kernel: block: "
            "[1,0,0], thread: [96,0,0] Assertion `t >= 0 && t < n_classes` failed.",
            "/pytorch/aten/src/THCUNN/SpatialClassNLLCriterion.cu:103: void "
            "cunn_SpatialClassNLLCriterion_updateOutput_kernel(T *, T *, T *, long *, T *, int, "
            "int, int, int, int, long) [with T = float, AccumT = float]: block: [2,0,0], thread: "
            "[352,0,0] Assertion `t >= 0 && t < n_classes` failed.",
            "/opt/conda/conda-bld/pytorch/aten/src/ATen/native/cuda/Loss.cu:250: "
            "nll_loss_forward_reduce_cuda_kernel_2d: block: [0,0,0], thread: [3,0,0] Assertion "
            "`t >= 0 && t < n_classes` failed.",
            "Assertion `cur_target >= 0 && cur_target < n_classes` failed.",
            "RuntimeError: Assertion `cur_target >= 0 && cur_target < n_classes' failed.  at "
            "/pytorch/aten/src/THNN/generic/ClassNLLCriterion.c:97",
            "IndexError: Target 15 is out of bounds.",
            "IndexError: Target -1 is out of bounds.",
            "mmseg_fixkit.runtime.errors.LabelOutOfBounds: data/farm/ann/0012.png is labelled 8 "
            "(120 pixels), 9 (1 pixel), but AssertLabelBounds has num_classes=8, which allows 0..7,"
            " and 255 for ignored pixels; run `mmseg-fix scan` on the config to see every such "
            "file",
        ),
        rules=("MSF101", "MSF208", "MSF301", "MSF302"),
        references=("mmseg#1553", "NVlabs/SegFormer#92", "hszhao/semseg#29", "Pytorch-UNet#406"),
    ),
    Entry(
        id="label-255-not-ignored",
        title="The value 255 is in the labels and is not ignored",
        rank=50,
        patterns=(r"Target (?P<value>255) is out of bounds",),
        anchors=("Target255",),
        what="A pixel is labelled 255, and the loss takes it for a class.",
        why="Either 255 means 'ignored' and the head or the loss has another ignore_index, or the "
        "masks are black and white pictures, in which 255 is the foreground and has to become 1.",
        sure="If the files hold 0 and 255 only, it is the second.",
        next=(
            "mmseg-fix scan {config}  # says which values the files hold",
            "mmseg-fix check {config}  # MSF303: places that disagree on the ignored label",
        ),
        examples=("IndexError: Target 255 is out of bounds.",),
        rules=("MSF303", "MSF305"),
        references=("mmseg#1609", "Pytorch-UNet#408"),
    ),
    Entry(
        id="index-out-of-bounds",
        title="An index is out of bounds on the GPU: one of three causes",
        rank=55,
        patterns=(
            r"Assertion [`'] (?: index >= -sizes\[i\] && index < sizes\[i\]"
            r"|-sizes\[i\] <= index && index < sizes\[i\])",
            r"vectorized gather kernel index out of bounds",
        ),
        anchors=("<sizes[i]", "vectorizedgatherkernel"),
        what="A kernel was asked for an entry that its table does not have. In segmentation, the "
        "table is nearly always class_weight, and the index a label.",
        why="The text is the same for three causes; --config CONFIG tells them apart.",
        sure="Run one iteration on the CPU (CUDA_VISIBLE_DEVICES= python tools/train.py …): there "
        "the message names the index and the size.",
        next=(
            "mmseg-fix explain LOG --config {config}  # which of the causes the config has",
            "mmseg-fix check {config}",
            _SCAN,
        ),
        causes=(
            Cause(
                "weights-without-no-object",
                "Mask2Former, MaskFormer and SAN need N + 1 class weights, the last for 'no "
                "object', and class_weight has N.",
                ("mmseg-fix check {config} --fix  # MSF102 gives class_weight its N + 1 entries",),
                ("MSF102",),
            ),
            Cause(
                "weights-and-ignored-pixels",
                "CrossEntropyLoss of MMSegmentation 1.x looks up class_weight by the raw label, "
                "and an ignored pixel is 255: with any class_weight, the first ignored pixel "
                "(padding is enough) stops the run.",
                (
                    "mmseg-fix check {config} --fix  # MSF107 takes a loss without the fault",
                    "mmseg-fix rule MSF107",
                ),
                ("MSF107",),
            ),
            Cause(
                "sigmoid-and-label-too-large",
                "With use_sigmoid=True, labels become one-hot vectors, and a label of N or more "
                "has no place in them.",
                (_SCAN,),
            ),
        ),
        examples=(
            "../aten/src/ATen/native/cuda/IndexKernel.cu:92: operator(): block: [0,0,0], thread: "
            "[91,0,0] Assertion `index >= -sizes[i] && index < sizes[i] && "
            '"index out of bounds"` failed.',
            "/pytorch/aten/src/ATen/native/cuda/IndexKernel.cu:93: operator(): block: [3,0,0], "
            "thread: [64,0,0] Assertion `-sizes[i] <= index && index < sizes[i] && "
            '"index out of bounds"` failed.',
            "/pytorch/aten/src/ATen/native/cuda/IndexKernelUtils.cu:16: vectorized_gather_kernel: "
            "block: [3,0,0], thread: [64,0,0] Assertion `ind >=0 && ind < ind_dim_size && "
            '"vectorized gather kernel index out of bounds"` failed.',
        ),
        references=("mmseg#3811", "mmseg#3124", "mmseg#3574", "w1oves/Rein#17"),
    ),
    Entry(
        id="gather-out-of-bounds",
        title="A label has no channel to be gathered from",
        rank=55,
        patterns=(
            r"Assertion [`'] idx_dim >= 0 && idx_dim < index_size",
            r"index (?P<value>\d+) is out of bounds for dimension 1 with size (?!1\b|1\D|1$)"
            r"(?P<classes>\d+)",
        ),
        anchors=("idx_dim<index_size", "outofboundsfordimension1"),
        what=(
            "A pixel is labelled {value}, but the prediction has {classes} channels, that is "
            "labels 0 to {classes_minus_1}.",
            "A pixel has a label for which the prediction has no channel.",
        ),
        why="The OHEM sampler (and the one-hot labels of a sigmoid loss) take the channel of each "
        "label. Either a label is N or larger, or the head has one channel only "
        "(out_channels=1), which no OHEM sampler can work with.",
        sure="With out_channels=1 in the config it is the second cause; else scan the labels.",
        next=(
            "mmseg-fix explain LOG --config {config}  # which of the causes the config has",
            "mmseg-fix check {config}  # MSF110: a sampler on a head with one channel",
            _SCAN,
        ),
        causes=(
            Cause(
                "one-channel-and-sampler",
                "A head with one channel (out_channels=1) has an OHEM sampler, which looks for a "
                "second channel.",
                ("mmseg-fix check {config} --fix  # MSF110",),
                ("MSF110",),
            ),
            Cause(
                "label-too-large",
                "A label value is N or larger.",
                (_SCAN,),
            ),
        ),
        examples=(
            "../aten/src/ATen/native/cuda/ScatterGatherKernel.cu:111: operator(): block: "
            "[12,0,0], thread: [65,0,0] Assertion `idx_dim >= 0 && idx_dim < index_size && "
            '"index out of bounds"` failed.',
            "/pytorch/aten/src/ATen/native/cuda/ScatterGatherKernel.cu:145: operator(): block: "
            "[1,0,0], thread: [0,0,0] Assertion `idx_dim >= 0 && idx_dim < index_size && "
            '"index out of bounds"` failed.',
            "RuntimeError: index 15 is out of bounds for dimension 1 with size 3",
            "IndexError: index 15 is out of bounds for dimension 1 with size 3",
        ),
        references=("mmseg#1180", "mmseg#2607"),
    ),
    Entry(
        id="label-above-table",
        title="A label is larger than a table that it looks up",
        rank=52,
        patterns=(
            r"index (?P<value>(?!255\D)\d+) is out of bounds for dimension 0 with size "
            r"(?P<size>(?!(?P=value)(?:\D|$))\d+)",
        ),
        anchors=("outofboundsfordimension0",),
        what="The entry {value} was asked for of a table with {size} entries (0 to "
        "{size_minus_1}). In a segmentation loss, the table is class_weight and {value} is a "
        "label.",
        why="A label value is outside of the classes, or class_weight has the length of another "
        "data set.",
        sure="The lines above the message name the file: mmseg/models/losses or mask2former_head "
        "means class_weight.",
        next=("mmseg-fix check {config}", _SCAN),
        examples=("IndexError: index 7 is out of bounds for dimension 0 with size 4",),
        rules=("MSF101", "MSF102"),
        references=("mmseg#3811",),
    ),
    Entry(
        id="label-one-hot",
        title="A label is too large (or negative) to become a one-hot vector",
        rank=50,
        patterns=(
            r"Class values must be smaller than num_classes",
            r"Class values must be non-negative",
        ),
        anchors=("Classvaluesmustbe",),
        what="A loss turns labels into one-hot vectors, and a label is N or larger, or negative.",
        why="FocalLoss and losses of your own call one_hot on the labels. Either a value is no "
        "class, or 255 (ignored) was not taken out before.",
        sure="The scan shows whether values other than 0 to N - 1 and 255 occur. If not, the loss "
        "does not know ignore_index.",
        next=(_SCAN, _GUARD),
        examples=(
            "RuntimeError: Class values must be smaller than num_classes.",
            "RuntimeError: Class values must be non-negative.",
        ),
        rules=("MSF101", "MSF303"),
        references=("mmseg PR#417", "PaddleSeg#2270"),
    ),
    Entry(
        id="one-channel-labels",
        title="A head with one channel gets more than two label values",
        rank=50,
        patterns=(r"its label must have at most 2 classes",),
        anchors=("itslabelmusthaveatmost2classes",),
        what="The head has one channel (foreground or not), but the labels hold values above 1.",
        why="out_channels=1 with use_sigmoid=True is for two classes, labelled 0 and 1. A mask "
        "with the values 0 and 255 has no 1 at all, and 255 is ignored.",
        sure="The scan lists the values.",
        next=(
            "mmseg-fix scan {config}",
            "mmseg-fix patch {config} --binary softmax  # two channels, if there are two classes",
        ),
        examples=(
            "AssertionError: For pred with shape [N, 1, H, W], its label must have at most 2 "
            "classes",
        ),
        rules=("MSF104", "MSF108"),
        references=("mmseg#2201", "mmseg#1774"),
    ),
)

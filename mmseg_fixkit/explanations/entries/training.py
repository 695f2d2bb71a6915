"""Losses and result tables that say something is wrong; see ``losses`` and ``tables``."""

from __future__ import annotations

from mmseg_fixkit.explanations.entry import LOSSES, TABLE, Entry

_SCAN = "mmseg-fix scan {config}"
_CHECK = "mmseg-fix check {config}"

_TABLE = """\
+------------+-------+-------+
|   Class    |  IoU  |  Acc  |
+------------+-------+-------+
{}
+------------+-------+-------+"""


def _table(*rows: str) -> str:
    return _TABLE.format("\n".join(rows))


ENTRIES = (
    Entry(
        id="loss-nan",
        title="The loss is not a number",
        rank=80,
        patterns=(),
        anchors=(),
        reader=LOSSES,
        what=(
            "{names} became nan; the first such line is iteration {iteration}.",
            "{names} became nan.",
        ),
        why="From the first iteration on: a batch in which every pixel is ignored (the average of "
        "nothing), weights that were never initialised, or labels beyond the classes in a loss "
        "that does not check them. Later on: the learning rate is too high, or half precision "
        "overflows.",
        sure="Train ten iterations with a learning rate of a tenth and without AmpOptimWrapper: "
        "nan from the start means labels or weights.",
        next=(
            _SCAN + "  # files in which everything is ignored, values beyond the classes",
            "mmseg-fix preflight {config}  # one forward and backward pass with all classes",
        ),
        examples=(
            "2026/01/02 10:00:00 - mmengine - INFO - Iter(train) [  150/40000]  lr: 9.9e-03  eta: "
            "5:12:33  time: 0.4689  data_time: 0.0056  memory: 3711  loss: nan  decode.loss_ce: "
            "nan  decode.acc_seg: 3.1000",
            '{"lr": 0.01, "data_time": 0.005, "loss": NaN, "decode.loss_ce": NaN, "iter": 50}',
        ),
        references=("HF#28122",),
    ),
    Entry(
        id="loss-zero",
        title="The loss is exactly 0 from the first iteration on",
        rank=79,
        patterns=(),
        anchors=(),
        reader=LOSSES,
        what="{names} is exactly 0 in the first line of the training: nothing is learned.",
        why="A softmax over one channel is always 1, so its loss is 0: num_classes=1, or "
        "out_channels=1 without use_sigmoid=True. Or every pixel is ignored: masks with 0 and "
        "255, or reduce_zero_label=True over masks of 0 and 1.",
        sure="mmseg-fix check finds the first (MSF108, MSF109, MSF113), the scan the second.",
        next=(
            _CHECK + " --fix",
            _SCAN,
            "mmseg-fix patch {config} --binary softmax  # two classes, two channels",
        ),
        examples=(
            "2026/01/02 10:00:00 - mmengine - INFO - Iter(train) [   50/40000]  lr: 9.9e-03  eta: "
            "5:12:33  time: 0.4689  data_time: 0.0056  memory: 3711  loss: 0.0000  decode.loss_ce: "
            "0.0000  decode.acc_seg: 100.0000",
            "2022-03-01 10:00:00,123 - mmseg - INFO - Iter [50/80000]\tlr: 9.994e-03, eta: 5:12:33,"
            " time: 0.468, data_time: 0.005, memory: 3711, decode.loss_seg: 0.0000, "
            "decode.acc_seg: 100.0000, loss: 0.0000",
        ),
        rules=("MSF108", "MSF109", "MSF113", "MSF104", "MSF302"),
        references=("mmseg#304", "mmseg#493", "mmseg#2201"),
    ),
    Entry(
        id="gradient-nan",
        title="The gradients are not numbers, and stayed so",
        rank=81,
        patterns=(),
        anchors=(),
        reader=LOSSES,
        what="grad_norm is nan in the last line of the training that has one.",
        why="With AmpOptimWrapper, single nan or inf are normal: that step is skipped and the "
        "scale is lowered. If it stays, a loss overflows in half precision, or a batch has no "
        "labelled pixel.",
        sure="Run some iterations with OptimWrapper instead of AmpOptimWrapper.",
        next=(_SCAN, "mmseg-fix preflight {config}"),
        examples=(
            "2026/01/02 10:00:00 - mmengine - INFO - Iter(train) [  150/40000]  lr: 9.9e-03  "
            "memory: 3711  grad_norm: nan  loss: 2.1000  decode.loss_ce: 2.1000",
        ),
        after=("loss-nan",),
    ),
    Entry(
        id="batch-of-one",
        title="Batch norm got a single value per channel",
        rank=82,
        patterns=(
            r"Expected more than 1 value per channel when training, got input size "
            r"(?:torch\.Size\()? \[(?P<shape>[\d,]+)\]",
        ),
        anchors=("Expectedmorethan1value",),
        what="A feature map of the shape [{shape}] reached batch norm in training.",
        why="The batch has one image, and a pooling branch (PSP, ASPP, EncHead) makes it one "
        "value. The last batch of an epoch may be that small.",
        sure="train_dataloader.batch_size, and the number of images modulo it.",
        next=("Set train_dataloader.batch_size to 2 or more, and drop_last=True.",),
        examples=(
            "ValueError: Expected more than 1 value per channel when training, got input size "
            "torch.Size([1, 512, 1, 1])",
        ),
    ),
    Entry(
        id="result-only-one-labelled",
        title="The labels hold one class only; the rest is ignored",
        rank=90,
        patterns=(),
        anchors=(),
        reader=TABLE,
        what="Only {names} has labelled pixels, so its IoU of 100 says nothing; the other classes "
        "are nan.",
        why="In a mask of 0 and 255, 255 is ignored and everything else is class 0. The same "
        "happens if reduce_zero_label takes away the background.",
        sure="The scan shows the values of the files.",
        next=(_SCAN, _CHECK + "  # MSF302: is the background ignored?"),
        examples=(
            _table(
                "| background | 100.0 | 100.0 |",
                "| polyp      |  nan  |  nan  |",
            ),
        ),
        rules=("MSF302", "MSF304"),
        references=("mmseg#1609", "mmseg#3753", "mmseg#964"),
    ),
    Entry(
        id="result-nothing-counted",
        title="No pixel was counted at all",
        rank=89,
        patterns=(),
        anchors=(),
        reader=TABLE,
        what="Every class is nan: there was not one labelled pixel.",
        why="All labels are ignored or outside of the classes: colour masks, grey values, or a "
        "data set with other ids. IoUMetric drops labels outside of 0 to N - 1 without a word.",
        sure="The scan shows the values of the files.",
        next=(_SCAN, _CHECK),
        examples=(_table("| background |  nan  |  nan  |", "| polyp      |  nan  |  nan  |"),),
        rules=("MSF301", "MSF304"),
        references=("mmseg#2081",),
    ),
    Entry(
        id="result-one-class",
        title="Everything is predicted as one class",
        rank=91,
        patterns=(),
        anchors=(),
        reader=TABLE,
        what="{names} gets all pixels; no other class was ever hit.",
        why="Early in training, or with few pixels of the other classes, this is the cheapest "
        "answer. If it stays: one channel with argmax (out_channels=1 without threshold), a loss "
        "of 0, class order and values that do not agree, or strong imbalance.",
        sure="Look at the loss: exactly 0 means the set-up, a falling one means imbalance.",
        next=(
            _CHECK,
            "mmseg-fix weights {config}  # how rare the other classes are, and weights for them",
        ),
        examples=(
            _table(
                "| background | 93.21 | 100.0 |",
                "| weed       |  0.0  |  0.0  |",
                "| crop       |  0.0  |  0.0  |",
            ),
        ),
        after=("loss-zero", "loss-nan"),
        rules=("MSF104", "MSF108", "MSF109", "MSF112", "MSF113"),
        references=("mmseg#1774", "mmseg#1714", "mmseg#3753"),
    ),
    Entry(
        id="result-without-truth",
        title="Classes without a labelled pixel that were predicted all the same",
        rank=92,
        patterns=(),
        anchors=(),
        reader=TABLE,
        what="{names}: IoU 0.0 and Acc nan means that no label file of this split holds the class, "
        "but the model predicts it.",
        why="The class does not occur in the split, or its label value is another one: shifted by "
        "one, lost to reduce_zero_label, or beyond the classes and dropped silently. Each such "
        "class pulls mIoU down with a 0.",
        sure="The scan counts the pixels of each class in each split.",
        next=(
            _SCAN,
            _CHECK + "  # whether data set and head have the same classes",
        ),
        examples=(
            _table(
                "| background | 93.21 | 97.3  |",
                "| weed       | 61.4  | 70.2  |",
                "| crop       |  0.0  |  nan  |",
            ),
        ),
        rules=("MSF101", "MSF201", "MSF301", "MSF302"),
        references=("mmseg#964", "mmseg#2081", "mmseg#1248", "mmseg#3753"),
    ),
    Entry(
        id="result-absent",
        title="Classes that occur neither in the labels nor in the predictions",
        rank=94,
        patterns=(),
        anchors=(),
        reader=TABLE,
        what="{names}: nan and nan means no labelled and no predicted pixel in this split.",
        why="The split is small, or the list of classes is longer than what the files hold. mIoU "
        "leaves such classes out.",
        sure="The scan counts the pixels of each class in each split.",
        next=(_SCAN,),
        examples=(
            _table(
                "| background | 93.21 | 97.3  |",
                "| weed       | 61.4  | 70.2  |",
                "| crop       |  nan  |  nan  |",
            ),
        ),
        references=("mmseg#964", "mmseg#2081"),
    ),
    Entry(
        id="result-never-hit",
        title="Classes that are labelled and were never found",
        rank=93,
        patterns=(),
        anchors=(),
        reader=TABLE,
        what="{names}: 0.0 and 0.0 means that there are labelled pixels and none was predicted "
        "right.",
        why="Normal early in training. If it stays, the class is rare or small, or its label "
        "values mean something else in training than in validation.",
        sure="The scan shows how many pixels and files each class has.",
        next=(
            _SCAN,
            "mmseg-fix weights {config}  # weights for rare classes",
        ),
        examples=(
            _table(
                "| background | 93.21 | 97.3  |",
                "| weed       | 61.4  | 70.2  |",
                "| crop       |  0.0  |  0.0  |",
            ),
        ),
        rules=("MSF101", "MSF201"),
        references=("mmseg#3753",),
    ),
)

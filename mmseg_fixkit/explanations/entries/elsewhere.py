"""The same faults in other frameworks, whose users end up here too."""

from __future__ import annotations

from mmseg_fixkit.explanations.entry import Entry

ENTRIES = (
    Entry(
        id="detectron2-class-count",
        title="detectron2: the model has more classes than the data set",
        rank=50,
        patterns=(
            r"A prediction has class=(?P<value>\d+), but the dataset only has (?P<classes>\d+) "
            r"classes",
        ),
        anchors=("Apredictionhasclass=",),
        what="Class {value} was predicted, but the data set has {classes} classes.",
        why="ROI_HEADS.NUM_CLASSES was set, and Mask2Former reads SEM_SEG_HEAD.NUM_CLASSES.",
        sure="Look at cfg.MODEL.SEM_SEG_HEAD.NUM_CLASSES.",
        next=("Set MODEL.SEM_SEG_HEAD.NUM_CLASSES={classes}.",),
        examples=(
            "AssertionError: A prediction has class=24, but the dataset only has 1 classes and "
            "predicted class id should be in [0, 0].",
        ),
        references=("M2F#42",),
    ),
    Entry(
        id="ultralytics-class-count",
        title="ultralytics: a label file holds a class that the data set does not name",
        rank=50,
        patterns=(r"Label class (?P<value>\d+) exceeds dataset class count (?P<classes>\d+)",),
        anchors=("exceedsdatasetclasscount",),
        what="A label file holds class {value}; the data set names {classes} (0 to "
        "{classes_minus_1}).",
        why="names in the data YAML is shorter than the ids in the files, or they count from 1.",
        sure="The message names the file.",
        next=("Complete names, or renumber the files.",),
        examples=(
            "ignoring corrupt image/label: Label class 16 exceeds dataset class count 1. Possible "
            "class labels are 0-0",
        ),
        references=("ultralytics#1256", "CASIA-LMC-Lab/FastSAM#167"),
    ),
    Entry(
        id="nnunet-labels",
        title="nnU-Net: label files hold values that dataset.json does not name",
        rank=50,
        patterns=(
            r"Unexpected labels found in file (?P<file>[\w./\\:-]+?\.[A-Za-z.]{2,7}?)\. Expected: "
            r"\[(?P<expected>[^\]]*)\] Found: \[(?P<found>[^\]]*)\]",
            r"Unexpected labels found in file",
        ),
        anchors=("Unexpectedlabelsfoundinfile",),
        what=(
            "{file} holds [{found}], but [{expected}] was expected.",
            "A label file holds other values than dataset.json names.",
        ),
        why="0 and 255 mean a black and white mask: 255 has to become 1. Many values mean a JPEG "
        "or anti-aliased mask.",
        sure="mmseg-fix scan counts the values of a folder of label files.",
        next=("mmseg-fix scan DIR  # values of every file",),
        examples=(
            "Error: Unexpected labels found in file labelsTr/img_59.png. Expected: [0, 1] Found: "
            "[  0. 255.]",
            "Error: Unexpected labels found in file ... Expected: [0, 1] Found: [  0. 255.]",
        ),
        references=("nnUNet#1777", "nnUNet#2404", "nnUNet#1678"),
    ),
    Entry(
        id="paddle-one-hot",
        title="PaddlePaddle: a label is too large to become a one-hot vector",
        rank=50,
        patterns=(
            r"Illegal index value, Input\(input\) value should be .{5,80}? less than depth "
            r"\[(?P<classes>\d+)\], but received \[(?P<value>-?\d+)\]",
            r"Illegal index value, Input\(input\) value should be",
        ),
        anchors=("Illegalindexvalue,Input(input)",),
        what=(
            "A label is {value}, but there are {classes} classes.",
            "A label is no class.",
        ),
        why="255 (ignored) came from the files or from padding and was not taken out before "
        "one_hot.",
        sure="Look which values the label files hold.",
        next=("Take ignored pixels out before one_hot, or set the right ignore_index.",),
        examples=(
            "Illegal index value, Input(input) value should be greater than or equal to 0, and "
            "less than depth [2], but received [255].",
        ),
        references=("PaddleSeg PR#2939",),
    ),
    Entry(
        id="paddle-scatter",
        title="PaddleSeg: LovaszHingeLoss takes two labels for one binary pair",
        rank=58,
        patterns=(r"Assertion [`'] scatter_i >= 0 && scatter_i < output_count",),
        anchors=("scatter_i<output_count",),
        what="With two labels and use_multilabel, a scatter was out of bounds.",
        why="LovaszHingeLoss reads two channels as background and foreground of one class, while "
        "the labels keep both.",
        sure="It goes away with another loss.",
        next=("Add the auxiliary channel, or leave LovaszHingeLoss out.",),
        examples=(
            "/paddle/phi/kernels/funcs/scatter.cu.h:46 Assertion `scatter_i >= 0 && scatter_i < "
            "output_count` failed.",
        ),
        references=("PaddleSeg#3646",),
    ),
    Entry(
        id="huggingface-sizes",
        title="transformers: the checkpoint has other classes",
        rank=70,
        patterns=(r"adding `? ignore_mismatched_sizes=True",),
        anchors=("ignore_mismatched_sizes=True",),
        what="The class layer of the checkpoint has another size than that of the model.",
        why="num_labels differs. ignore_mismatched_sizes=True starts that layer anew; older "
        "versions leave it uninitialised, and the loss is nan.",
        sure="The lines above it name the layers: only the classifier should be there.",
        next=("Pass ignore_mismatched_sizes=True, and look at the first loss values.",),
        examples=(
            "You may consider adding `ignore_mismatched_sizes=True` in the model `from_pretrained` "
            "method.",
        ),
        references=("HF#14218", "asahi417/tner#37", "HF#28122"),
    ),
    Entry(
        id="keras-range",
        title="keras-segmentation: a mask value is no class",
        rank=50,
        patterns=(
            r"violating range \[0,(?P<last>\d+)\]\. Found maximum pixel value (?P<value>\d+)",
        ),
        anchors=("violatingrange[0",),
        what="A mask holds {value}; the largest class is {last}.",
        why="n_classes counts the classes, and the largest value is one below it.",
        sure="The message names the file.",
        next=("Set n_classes={value_plus_1} if {value} is a class, else correct the mask.",),
        examples=(
            "The pixel values of the segmentation image seg.png violating range [0, 6]. Found "
            "maximum pixel value 7",
        ),
        references=("divamgupta/image-segmentation-keras#199",),
    ),
)

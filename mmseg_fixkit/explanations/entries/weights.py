"""Class weights, channels and the losses that take them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmseg_fixkit.explanations.entry import Entry

_FIX = "mmseg-fix check {config} --fix"


def _is_width(values: Mapping[str, Any]) -> bool:
    """Whether a is a count of classes and b a width in pixels."""
    a, b = values["classes"], values["width"]
    return bool(1 < a <= 256 and b - a > 1)


def _are_neighbours(values: Mapping[str, Any]) -> bool:
    return bool(abs(values["a"] - values["b"]) == 1)


ENTRIES = (
    Entry(
        id="class-weight-length",
        title="class_weight has another length than the head has outputs",
        rank=60,
        patterns=(
            r"weight tensor should be defined either for all (?P<classes>\d+) classes or no "
            r"classes but got weight tensor of shape: \[(?P<length>\d+)\]",
            r"weight tensor should be defined either for all (?:\d+)? (?:or no )? classes",
        ),
        anchors=("weighttensorshouldbedefined",),
        what=(
            "The head has {classes} outputs, but class_weight has {length} entries.",
            "The number of class weights is not the number of outputs of the head.",
        ),
        why="num_classes was changed and class_weight was not (CGNet, PIDNet and DDRNet bring 19 "
        "weights of Cityscapes). Per-pixel heads take N weights; Mask2Former, MaskFormer and SAN "
        "take N + 1, the last for 'no object'.",
        sure="mmseg-fix check names the loss and both lengths.",
        next=(
            _FIX + "  # MSF102: the right length, weights kept by class name",
            "mmseg-fix weights {config}  # weights from your own labels",
        ),
        examples=(
            "RuntimeError: weight tensor should be defined either for all or no classes",
            "RuntimeError: weight tensor should be defined either for all or no classes at "
            "/pytorch/aten/src/THCUNN/generic/SpatialClassNLLCriterion.cu:27",
            "RuntimeError: weight tensor should be defined either for all 19 classes or no classes "
            "but got weight tensor of shape: [8]",
        ),
        rules=("MSF102",),
        references=("XuJiacong/PIDNet#81", "bytedance/FreeSeg#18", "MendelXu/SAN#46"),
    ),
    Entry(
        id="class-weight-and-ignored-pixels",
        title="class_weight is looked up by the ignored label 255",
        rank=60,
        patterns=(
            r"index (?P<value>255) is out of bounds for dimension 0 with size (?P<size>\d+)",
        ),
        anchors=("index255isoutofbounds",),
        what="The loss asked for entry 255 of a class_weight with {size} entries.",
        why="CrossEntropyLoss of MMSegmentation 1.x looks up class_weight by the raw label to "
        "compute the average, and ignored pixels are 255. The length of class_weight is right; the "
        "fault is upstream, and padding alone is enough to meet it.",
        sure="The traceback ends in cross_entropy_loss.py, in `class_weight[cls] for cls in "
        "label`.",
        next=(
            _FIX + "  # MSF107 takes a loss that does the same without the fault",
            "mmseg-fix rule MSF107",
        ),
        examples=("IndexError: index 255 is out of bounds for dimension 0 with size 19",),
        rules=("MSF107",),
        references=("mmseg#3568", "mmseg#3574", "mmseg#3724", "mmseg PR#3457"),
    ),
    Entry(
        id="class-weight-without-no-object",
        title="A query head needs one class weight more, for 'no object'",
        rank=60,
        patterns=(
            r"index (?P<size>\d+) is out of bounds for dimension 0 with size (?P=size)(?!\d)",
        ),
        anchors=("outofboundsfordimension0",),
        what="Entry {size} was asked for of a table with {size} entries (0 to {size_minus_1}).",
        why="Mask2Former, MaskFormer and SAN give a query without object the label N. Their "
        "class_weight needs N + 1 = {size_plus_1} entries; the last weighs 'no object' and is 0.1 "
        "in all configs of the zoo. Else, a label equals N: labels counted from 1.",
        sure="The traceback names mask2former_head.py or maskformer_head.py, at "
        "class_weight[labels].",
        next=(
            _FIX + "  # MSF102 adds the entry",
            "mmseg-fix scan {config}  # if it is no query head: is a label N?",
        ),
        examples=("IndexError: index 3 is out of bounds for dimension 0 with size 3",),
        rules=("MSF102",),
        references=("mmseg#3811", "w1oves/Rein#17", "mmdet#9369"),
    ),
    Entry(
        id="class-weight-with-sigmoid",
        title="A list of class weights does not fit a sigmoid loss",
        rank=60,
        patterns=(
            r"The size of tensor a \((?P<classes>\d+)\) must match the size of tensor b "
            r"\((?P<width>\d+)\) at non-singleton dimension 3",
        ),
        anchors=("Thesizeoftensora(",),
        what="{classes} numbers were to be multiplied with {width} pixels of a row.",
        why="With use_sigmoid=True, MMSegmentation hands class_weight on as pos_weight with the "
        "shape [C], which torch lays along the width of the image; it would have to be [C, 1, 1].",
        sure="{classes} is the length of class_weight, {width} the width of the crop, and the loss "
        "has use_sigmoid=True.",
        next=(
            "mmseg-fix check {config}  # MSF116 finds it and says what the loss can take",
            "mmseg-fix rule MSF116",
        ),
        examples=(
            "RuntimeError: The size of tensor a (9) must match the size of tensor b (640) at "
            "non-singleton dimension 3",
        ),
        rules=("MSF116", "MSF111"),
        references=("mmseg#2723",),
        only_if=_is_width,
    ),
    Entry(
        id="input-not-divisible",
        title="The size of an input does not suit the strides of the model",
        rank=66,
        patterns=(
            r"The size of tensor a \((?P<a>\d+)\) must match the size of tensor b "
            r"\((?P<b>\d+)\) at non-singleton dimension [23]",
        ),
        anchors=("Thesizeoftensora(",),
        what="Two feature maps that are added are {a} and {b} wide: rounding made them differ by "
        "one.",
        why="This is no fault of classes. The height or width of an image is not divisible by the "
        "stride of the backbone; it happens in validation, where images keep their own size.",
        sure="The traceback is in the backbone or neck, and training ran.",
        next=("Set model.data_preprocessor.test_cfg=dict(size_divisor=32).",),
        examples=(
            "RuntimeError: The size of tensor a (86) must match the size of tensor b (85) at "
            "non-singleton dimension 3",
        ),
        references=("mmseg#2962",),
        only_if=_are_neighbours,
    ),
    Entry(
        id="class-weight-form",
        title="The loss takes class weights in another form",
        rank=60,
        patterns=(
            r"class_weight must be None or of type list",
            r"Expected class_weight to have type float\. Found <class '(?P<type>\w+)'>",
        ),
        anchors=("class_weightmustbeNone", "Expectedclass_weightto"),
        what="class_weight has a form that this loss does not take.",
        why="FocalLoss takes a list, not a tuple or a file; DETR-like heads a single number.",
        sure="mmseg-fix check names the loss.",
        next=("mmseg-fix check {config}", "mmseg-fix rule MSF116"),
        examples=(
            "AssertionError: AssertionError: class_weight must be None or of type list",
            "AssertionError: Expected class_weight to have type float. Found <class 'list'>.",
        ),
        rules=("MSF116",),
    ),
    Entry(
        id="out-channels",
        title="out_channels fits no set-up of this head",
        rank=15,
        patterns=(
            r"out_channels should be equal to num_classes, except binary segmentation set "
            r"out_channels == 1 and num_classes == 2, but got out_channels=(?P<channels>\d+) and "
            r"num_classes=(?P<classes>\d+)",
            r"out_channels should be equal to num_classes",
        ),
        anchors=("out_channelsshouldbeequal",),
        what=(
            "out_channels is {channels} and num_classes is {classes}.",
            "out_channels and num_classes of a head do not go together.",
        ),
        why="A per-pixel head has an output for each class. Only two classes may share one "
        "channel, with a sigmoid and a threshold.",
        sure="mmseg-fix check names the head.",
        next=(
            _FIX + "  # MSF104",
            "mmseg-fix patch {config} --binary softmax  # two classes, two channels",
        ),
        examples=(
            "ValueError: out_channels should be equal to num_classes,except binary segmentation "
            "set out_channels == 1 andnum_classes == 2, but got out_channels=2and num_classes=3",
        ),
        rules=("MSF104", "MSF101"),
        references=("mmseg PR#2016", "mmseg PR#2206"),
    ),
    Entry(
        id="one-channel-sampler",
        title="An OHEM sampler looks for a second channel",
        rank=58,
        patterns=(
            r"index (?P<value>\d+) is out of bounds for dimension 1 with size (?P<channels>1)"
            r"(?!\d)",
        ),
        anchors=("outofboundsfordimension1withsize1",),
        what="A head has one channel, and channel {value} was asked for.",
        why="OHEMPixelSampler takes the channel of each label, and one-channel heads have no "
        "channel 1. The advice to set out_channels=1 leads here (STDC, for one).",
        sure="The config has out_channels=1 and sampler=dict(type='OHEMPixelSampler').",
        next=(
            _FIX + "  # MSF110",
            "mmseg-fix patch {config} --binary softmax  # keeps the sampler, with two channels",
        ),
        examples=("RuntimeError: index 1 is out of bounds for dimension 1 with size 1",),
        rules=("MSF110",),
        references=("mmseg#2607", "mmdeploy#1746"),
    ),
    Entry(
        id="one-channel-loss",
        title="A loss cannot teach a head with one channel",
        rank=58,
        patterns=(r"Sigmoid output possible only with 1 class",),
        anchors=("Sigmoidoutputpossibleonly",),
        what="LovaszLoss in its multi-class form got a single channel.",
        why="A head with out_channels=1 needs loss_type='binary' or two channels.",
        sure="mmseg-fix check shows the loss (MSF109).",
        next=(_FIX, "mmseg-fix patch {config} --binary softmax"),
        examples=("ValueError: Sigmoid output possible only with 1 class",),
        rules=("MSF109", "MSF113"),
    ),
    Entry(
        id="loss-of-other-heads",
        title="A loss is called with arguments that it does not take",
        rank=60,
        patterns=(
            r"(?:(?P<loss>OhemCrossEntropy|BoundaryLoss)\.)?forward\(\) got an unexpected keyword "
            r"argument '(?P<name>weight)'",
        ),
        anchors=("forward()gotanunexpectedkeywordargument'weight'",),
        what=(
            "The head handed {name} to {loss}, which does not take it.",
            "The head handed {name} to a loss that does not take it: OhemCrossEntropy or "
            "BoundaryLoss, or one of your own.",
        ),
        why="Per-pixel heads hand weight and ignore_index to their losses. OhemCrossEntropy and "
        "BoundaryLoss take scores and labels only: they were made for PIDHead and DDRHead, which "
        "call them so. A loss of your own takes **kwargs, or both arguments.",
        sure="The traceback goes through loss_by_feat of decode_head.py.",
        next=(
            _FIX + "  # MSF118: CrossEntropyLoss with OHEMPixelSampler",
            "mmseg-fix rule MSF118",
        ),
        examples=(
            "TypeError: OhemCrossEntropy.forward() got an unexpected keyword argument 'weight'",
            "TypeError: forward() got an unexpected keyword argument 'weight'",
        ),
        rules=("MSF118",),
    ),
    Entry(
        id="one-channel-advice",
        title="Advice for two classes that can be left alone",
        rank=88,
        patterns=(
            r"For binary segmentation, we suggest using `?out_channels = 1",
            r"threshold is not defined for binary, and defaults to 0\.3",
        ),
        anchors=("Forbinarysegmentation,wesuggest", "thresholdisnotdefinedforbinary"),
        what="MMSegmentation says that two classes can share one channel. Nothing is wrong.",
        why="Two channels with softmax work as they are. One channel also needs use_sigmoid=True, "
        "a threshold (0.3 where none is written) and a loss and sampler that can do with it; the "
        "advice alone breaks OHEM sampling and the export to TensorRT.",
        sure="mmseg-fix check finds set-ups that are half one and half the other.",
        next=("mmseg-fix check {config}", "mmseg-fix patch {config} --binary sigmoid"),
        examples=(
            "UserWarning: For binary segmentation, we suggest using`out_channels = 1` to define the"
            " outputchannels of segmentor, and use `threshold`to convert `seg_logits` into a "
            "predictionapplying a threshold",
            "UserWarning: threshold is not defined for binary, and defaultsto 0.3",
        ),
        rules=("MSF112", "MSF110", "MSF109"),
        references=("mmseg#2607", "mmdeploy#1979"),
    ),
)

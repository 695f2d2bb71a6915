"""Checkpoints of other classes or of other models."""

from __future__ import annotations

from mmseg_fixkit.explanations.entry import Entry
from mmseg_fixkit.host import CLASS_LAYERS, INNER_CLASS_TENSORS

_CLASS_LAYER = (
    r"(?:module\.)? (?:decode_head|auxiliary_head) [\w.]*? "
    rf"(?:{CLASS_LAYERS}) (?:\.(?:weight|bias))?"
)
#: Segmenter's class tokens (1, N, D), and PointHead's inputs (C, F + N, 1): N is in the middle.
_INNER = rf"(?:module\.)? decode_head\. [\d.]* (?:{INNER_CLASS_TENSORS})"
_ADAPT = (
    "mmseg-fix adapt {checkpoint} {config} -o adapted.pth  # keeps the rows of classes that both "
    "have, by name"
)
_DRY = (
    "mmseg-fix adapt {checkpoint} {config} --dry-run  # which tensors fit, which are of the "
    "classes, which are wrong"
)
_SIZES = (
    r": copying a param with shape torch\.Size\(\[(?P<from>[\d,]+)\]\) from checkpoint,? the "
    r"shape in current model is torch\.Size\(\[(?P<to>[\d,]+)\]\)"
)

ENTRIES = (
    Entry(
        id="checkpoint-other-classes",
        title="The checkpoint has other classes: its class layers start anew",
        rank=70,
        patterns=(
            r"size mismatch for (?P<layer>" + _CLASS_LAYER + r"): copying a param with shape "
            r"torch\.Size\(\[(?P<old>\d+)(?P<_rest>[\d,]*)\]\) from checkpoint,? the shape in "
            r"current model is torch\.Size\(\[(?P<new>\d+)(?P=_rest)\]\)",
            r"size mismatch for (?P<layer>" + _INNER + r"): copying a param with shape "
            r"torch\.Size\(\[(?P<_lead>\d+),(?P<old>\d+),"
            r"(?P<_rest>\d+)\]\) from checkpoint,? the shape in current model is torch\.Size\("
            r"\[(?P=_lead),(?P<new>\d+),(?P=_rest)\]\)",
        ),
        anchors=("sizemismatchfor",),
        what="{layer}: the checkpoint has {old} outputs, the model {new}. MMEngine leaves these "
        "layers as they were initialised and loads everything else.",
        why="The checkpoint was trained with another number of classes. If only such layers are "
        "listed, this is expected when fine-tuning, and training may go on; what is lost are the "
        "rows of classes that both have.",
        sure="Only layers that end in classes are listed here. Any other layer in the same block "
        "means another architecture.",
        next=(_DRY, _ADAPT),
        examples=(
            "size mismatch for decode_head.conv_seg.weight: copying a param with shape "
            "torch.Size([19, 512, 1, 1]) from checkpoint, the shape in current model is "
            "torch.Size([8, 512, 1, 1]).",
            "size mismatch for auxiliary_head.1.conv_seg.bias: copying a param with shape "
            "torch.Size([19]) from checkpoint, the shape in current model is torch.Size([8]).",
            "size mismatch for decode_head.cls_embed.weight: copying a param with shape "
            "torch.Size([151, 256]) from checkpoint, the shape in current model is "
            "torch.Size([9, 256]).",
            "size mismatch for decode_head.kernel_generate_head.conv_seg.weight: copying a param "
            "with shape torch.Size([150, 512, 1, 1]) from checkpoint, the shape in current model "
            "is torch.Size([8, 512, 1, 1]).",
            "size mismatch for decode_head.cls_emb: copying a param with shape torch.Size([1, 150, "
            "192]) from checkpoint, the shape in current model is torch.Size([1, 8, 192]).",
        ),
        references=("mmseg#2156", "mmseg#3778", "mmseg#308", "mmseg#493"),
    ),
    Entry(
        id="checkpoint-other-model",
        title="The checkpoint is of another model: layers of other sizes",
        rank=68,
        patterns=(
            r"size mismatch for (?P<layer>(?!" + _CLASS_LAYER + r":)"
            r"(?!" + _INNER + r":)[\w.]+)" + _SIZES,
            # A class layer whose features differ too.
            r"size mismatch for (?P<layer>(?!"
            + _INNER
            + r":)"
            + _CLASS_LAYER
            + r"): copying a param"
            r" with shape torch\.Size\(\[(?P<from>\d+(?P<_tail>,[\d,]+))\]\) from checkpoint,? the"
            r" shape in current model is torch\.Size\(\[(?P<to>\d+(?!(?P=_tail)\]),[\d,]+)\]\)",
            r"size mismatch for (?P<layer>"
            + _INNER
            + r"): copying a param with shape torch\.Size\("
            r"\[(?P<from>(?P<_lead>\d+),\d+,(?P<_tail>\d+))\]\) from checkpoint,? the shape in "
            r"current model is torch\.Size\(\[(?P<to>(?!(?P=_lead),\d+,(?P=_tail)\])[\d,]+)\]\)",
        ),
        anchors=("sizemismatchfor",),
        what="{layer} is [{from}] in the checkpoint and [{to}] in the model. These layers are not "
        "loaded: they start from scratch.",
        why="These layers do not follow the classes: the checkpoint was trained with another "
        "backbone, depth, width or input size, or is of another method.",
        sure="Compare the config that the checkpoint was trained with: its name usually says the "
        "backbone.",
        next=(_DRY, "Take a checkpoint of the same architecture, or the config it belongs to."),
        examples=(
            "size mismatch for backbone.layer4.0.conv1.weight: copying a param with shape "
            "torch.Size([512, 1024, 1, 1]) from checkpoint, the shape in current model is "
            "torch.Size([512, 256, 3, 3]).",
            "size mismatch for decode_head.bottleneck.conv.weight: copying a param with shape "
            "torch.Size([512, 4096, 3, 3]) from checkpoint, the shape in current model is "
            "torch.Size([512, 1024, 3, 3]).",
            "size mismatch for backbone.pos_embed: copying a param with shape torch.Size([1, 1025, "
            "768]) from checkpoint, the shape in current model is torch.Size([1, 197, 768]).",
        ),
        references=("mmseg#838",),
    ),
    Entry(
        id="checkpoint-backbone-missing",
        title="The backbone is not in the checkpoint under these names",
        rank=67,
        patterns=(
            r"missing keys? in source state_dict: (?:module\.)?(?P<layer>backbone\.[\w.]+)",
            r'Missing key\(s\) in state_dict: "(?:module\.)?(?P<layer>backbone\.[\w.]+)"',
        ),
        anchors=("keyinsourcestate_dict", "keysinsourcestate_dict", "Missingkey(s)instate_dict"),
        what="Layers of the backbone were not found ({layer}, …) and start from scratch.",
        why="The names differ by a prefix (module., student., an 0.x checkpoint, a checkpoint of "
        "the bare backbone), or it is another backbone. MMEngine only warns, and training seems "
        "to run, much worse.",
        sure="If nearly all layers of the backbone are listed, nothing was loaded.",
        next=(
            _DRY,
            "A checkpoint of the bare backbone belongs into model.backbone.init_cfg="
            "dict(type='Pretrained', checkpoint=…), not into load_from.",
        ),
        examples=(
            "missing keys in source state_dict: backbone.stem.0.weight, backbone.stem.1.weight, "
            "backbone.layer1.0.conv1.weight",
            'Missing key(s) in state_dict: "backbone.stem.0.weight", "backbone.stem.1.weight".',
        ),
        references=("mmseg#838",),
    ),
    Entry(
        id="checkpoint-keys-missing",
        title="Layers of the model are not in the checkpoint",
        rank=72,
        patterns=(
            r"missing keys? in source state_dict: "
            r"(?P<layer>(?!(?:module\.)?backbone\.|\w*\n)[\w.]+)",
            r'Missing key\(s\) in state_dict: "(?P<layer>(?!(?:module\.)?backbone\.|\w*\n)[\w.]+)"',
        ),
        anchors=("keyinsourcestate_dict", "keysinsourcestate_dict", "Missingkey(s)instate_dict"),
        what="{layer} and perhaps others are not in the checkpoint, and start as they were "
        "initialised.",
        why="Expected for heads that the checkpoint does not have: a pretrained backbone has no "
        "decode head. For a checkpoint of the whole model it means other names or another "
        "method.",
        sure="Read the list: only heads, and the checkpoint is a backbone's, is fine.",
        next=(_DRY,),
        examples=(
            "missing keys in source state_dict: decode_head.conv_seg.weight, "
            "decode_head.conv_seg.bias",
            'Missing key(s) in state_dict: "conv_seg.weight", "conv_seg.bias".',
            "missing keys in source state_dict: ...",
        ),
        also=("checkpoint-header",),
    ),
    Entry(
        id="checkpoint-keys-unexpected",
        title="The checkpoint has layers that the model does not have",
        rank=73,
        patterns=(
            r"unexpected keys? in source state_dict: "
            r"(?P<layer>(?!(?:fc|head|heads|classifier|norm|neck)\.|\w*\n)[\w.]+)",
            r'Unexpected key\(s\) in state_dict: "(?P<layer>[\w.]+)"',
        ),
        anchors=("keyinsourcestate_dict", "keysinsourcestate_dict", "Unexpectedkey(s)instate_dict"),
        what="{layer} and perhaps others are in the checkpoint only, and are left out.",
        why="The checkpoint is of a model with more layers (an auxiliary head that the config has "
        "not, a deeper backbone), or names them otherwise.",
        sure="If as many keys are missing as are unexpected, the names differ, not the layers.",
        next=(_DRY,),
        examples=(
            "unexpected key in source state_dict: auxiliary_head.conv_seg.weight, "
            "auxiliary_head.conv_seg.bias",
            'Unexpected key(s) in state_dict: "module.backbone.stem.0.weight".',
        ),
    ),
    Entry(
        id="checkpoint-header",
        title="The checkpoint does not fit the model exactly",
        rank=74,
        patterns=(
            # A classifier of ImageNet that is left out is no news: each pretrained backbone has it.
            r"The model and loaded state dict do not match exactly (?! \W* unexpected keys? in "
            r"source state_dict: (?:fc|head|heads|classifier|norm|neck)\.)",
        ),
        anchors=("loadedstatedictdonotmatchexactly",),
        what="MMEngine loaded what fits and lists what does not below this line.",
        why="It is a warning, not an error: the lists say whether it matters. Only class layers "
        "(conv_seg, cls_embed …) are expected after a change of classes; layers of the backbone "
        "are not.",
        sure="Read the lines below it, or paste them too.",
        next=(_DRY, _ADAPT),
        examples=("The model and loaded state dict do not match exactly",),
        after=(
            "checkpoint-backbone-missing",
            "checkpoint-other-model",
            "checkpoint-other-classes",
            "checkpoint-keys-missing",
            "checkpoint-keys-unexpected",
        ),
        references=("mmengine/runner/checkpoint.py",),
    ),
    Entry(
        id="checkpoint-strict",
        title="A strict load refused the checkpoint",
        rank=75,
        patterns=(r"Error\(s\) in loading state_dict for (?P<model>\w+?):",),
        anchors=("Error(s)inloadingstate_dict",),
        what="torch compared every tensor of {model} and found some that do not fit.",
        why="torch raises where MMEngine only warns. strict=False does not help with sizes: torch "
        "raises for those all the same.",
        sure="The lines below it name the layers: only class layers means other classes.",
        next=(_ADAPT, _DRY),
        examples=(
            "RuntimeError: Error(s) in loading state_dict for EncoderDecoder:",
            "RuntimeError: Error(s) in loading state_dict for FCNHead:\n\tsize mismatch for "
            "decode_head.conv_seg.weight: copying a param with shape torch.Size([19, 4, 1, 1]) "
            "from checkpoint, the shape in current model is torch.Size([3, 4, 1, 1]).",
        ),
        after=(
            "checkpoint-backbone-missing",
            "checkpoint-other-model",
            "checkpoint-other-classes",
            "checkpoint-keys-missing",
            "checkpoint-keys-unexpected",
        ),
        also=("checkpoint-other-classes",),
        references=("mmdet#9106", "IDEA-Research/DINO#239"),
    ),
    Entry(
        id="adapt-refused",
        title="The checkpoint differs from the model in more than its classes",
        rank=68,
        patterns=(
            r"does not fit the model, and not because of the classes:",
            r"class names and rows do not agree: (?P<detail>.{5,120}?)\. Name the classes",
        ),
        anchors=("doesnotfitthemodel,andnot", "classnamesandrowsdonotagree"),
        what="HeadAdaptHook, adapt_state_dict or mmseg-fix adapt stopped: tensors that do not "
        "follow the classes differ, or names and rows are not equally many.",
        why="The checkpoint is of another backbone, size or version, or the names that were given "
        "are of another data set.",
        sure="The table below the message lists the tensors and the likely reason.",
        next=(_DRY, "mmseg-fix check {config}"),
        examples=(
            "mmseg_fixkit.errors.CheckpointMismatch: old.pth does not fit the model, and not "
            "because of the classes:\nof another shape: 12",
            "CheckpointMismatch: old.pth: class names and rows do not agree: decode_head of the "
            "checkpoint has 19 classes, but 18 are named. Name the classes in the order of the "
            "rows",
        ),
    ),
)

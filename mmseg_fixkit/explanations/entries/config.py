"""Configs that cannot be loaded or built, and class counts that disagree."""

from __future__ import annotations

from mmseg_fixkit.explanations.entry import Entry

_CHECK = "mmseg-fix check {config}"

ENTRIES = (
    Entry(
        id="list-head-inherited",
        title="A dict in the config meets a list in its base",
        rank=10,
        patterns=(
            r"(?P<key>\w+?)=\{.{0,4000}? in child config cannot inherit from base because (?P=key)"
            r" is a dict in the child config but is of type <class '(?P<type>[\w.]+)'>",
            r"in child config cannot inherit from base because (?P<key>\w+?) is a dict in the "
            r"child config",
        ),
        anchors=("inchildconfigcannotinherit",),
        what=(
            "{key} is a dict in your config and a {type} in the config that it inherits from.",
            "{key} is a dict in your config and something else in the config that it inherits "
            "from.",
        ),
        why="OCRNet, PointRend, ICNet and STDC have several heads in a list, and MMEngine cannot "
        "merge a dict into a list. With _delete_=True, all heads but the one you write are lost.",
        sure="mmseg-fix check on the base config shows its heads by key.",
        next=(
            "mmseg-fix patch BASE_CONFIG --classes a,b,c  # writes every head of the list",
            "--cfg-options model.{key}.0.num_classes=N reaches an entry of the list, too.",
        ),
        examples=(
            "TypeError: auxiliary_head={'num_classes': 2} in child config cannot inherit from base "
            "because auxiliary_head is a dict in the child config but is of type <class 'list'> in "
            "base config. You may set `_delete_=True` to ignore the base config.",
            "bbox_head={'num_classes': 2} in child config cannot inherit from base because "
            "bbox_head is a dict in the child config but is of type <class 'list'> in base config.",
        ),
        references=("mmdet#3556", "mmdet#4297", "mmcv PR#493"),
    ),
    Entry(
        id="list-head-in-python",
        title="num_classes is set on a list of heads, or on a head that is not there",
        rank=10,
        patterns=(
            r"'(?P<type>list|ConfigList|tuple)' object has no attribute 'num_classes'",
            r"'(?P<type>ConfigDict|NoneType)' object has no attribute "
            r"'(?P<key>auxiliary_head|decode_head)'",
            r"(?P<type>Index) (?P<index>\d+) exceeds the length of list",
        ),
        anchors=("'objecthasnoattribute'", "exceedsthelengthoflist"),
        what=(
            "The config has no {key}.",
            "The model has a list of heads, and a line like cfg.model.decode_head.num_classes = 8 "
            "or --cfg-options addresses it in another way.",
        ),
        why="The lines of the tutorials fit models with one decode head and one auxiliary head. "
        "Some have lists of heads, some have no auxiliary head, and some have heads within heads.",
        sure="print(cfg.model) shows the heads.",
        next=("mmseg-fix patch {config} --classes a,b,c  # finds every head, wherever it is",),
        examples=(
            "AttributeError: 'list' object has no attribute 'num_classes'",
            "AttributeError: 'ConfigDict' object has no attribute 'auxiliary_head'",
            "KeyError: 'Index 3 exceeds the length of list [1]'",
        ),
    ),
    Entry(
        id="config-styles-mixed",
        title="Two styles of config are mixed",
        rank=8,
        patterns=(
            r"configuration file type in the inheritance chain must match the current "
            r"configuration file type",
        ),
        anchors=("configurationfiletypeintheinheritance",),
        what="One config inherits with _base_ = …, another with `with read_base():`.",
        why="MMEngine reads the two styles in different ways and allows one of them in a chain. A "
        "plain import of another module also makes a config one of the new style.",
        sure="The message names the file; look at its first lines.",
        next=(
            "Inherit with _base_ from files that use _base_, and with read_base from the others.",
            "mmseg-fix patch BASE_CONFIG  # writes an overlay in the style of the base",
        ),
        examples=(
            "RuntimeError: The configuration file type in the inheritance chain must match the "
            'current configuration file type, either "lazy_import" or non-"lazy_import".',
        ),
        references=("open-mmlab/mmpretrain#1898",),
    ),
    Entry(
        id="config-dump",
        title="The text of a config cannot be written out",
        rank=9,
        patterns=(
            r"(?:yapf|pretty_text) .{0,2500}? SyntaxError: invalid syntax",
            r"YapfError: .{0,200}? invalid syntax",
            r"FormatCode\(\) got an unexpected keyword argument 'verify'",
        ),
        anchors=("pretty_text", "YapfError", "FormatCode()got"),
        what="Formatting the config with yapf failed; the config itself was loaded.",
        why="A value has no form as Python text: an object, a nan, or a whole config stored in a "
        "config. The word 'verify' means that yapf is newer than MMEngine expects.",
        sure="print(cfg.pretty_text) shows the same without training.",
        next=(
            "Remove the value that is no number, text, list or dict.",
            "For 'verify': pip install 'yapf<0.40.2', or a newer mmengine.",
        ),
        examples=(
            '  File "mmengine/config/config.py", line 1454, in pretty_text\n    text, _ = '
            'FormatCode(text, style_config=yapf_style, verify=True)\n  File "<unknown>", line 12\n'
            "SyntaxError: invalid syntax",
            "yapf.yapflib.errors.YapfError: <unknown>:12:17: invalid syntax",
            "TypeError: FormatCode() got an unexpected keyword argument 'verify'",
        ),
        references=("mmseg#1359",),
    ),
    Entry(
        id="config-duplicate-keys",
        title="Two base configs set the same key",
        rank=10,
        patterns=(
            r"Duplicate key is not allowed among bases\. Duplicate keys: \{(?P<keys>[^}]+)\}",
            r"Duplicate key is not allowed among bases",
        ),
        anchors=("Duplicatekeyisnotallowed",),
        what=("Both bases set {keys}.", "Several bases set the same key."),
        why="A model base and a data set base that bring a variable of the same name "
        "(num_classes, crop_size, norm_cfg), or two data sets at once.",
        sure="Look for the key in the files that _base_ lists.",
        next=(
            "Leave one of the bases out, or inherit from one config that is whole.",
            "mmseg-fix patch ZOO_CONFIG --classes a,b,c --data-root DIR  # one base, all changes",
        ),
        examples=(
            "KeyError: \"Duplicate key is not allowed among bases. Duplicate keys: {'crop_size'}\"",
        ),
    ),
    Entry(
        id="not-registered",
        title="A name in the config is not known to MMSegmentation",
        rank=12,
        patterns=(
            r"(?P<name>[\w.]+?) is not in the (?P<scope>\w+)::(?P<registry>[\w -]+?) registry",
            r"(?P<name>'[\w.]+?') is not in the (?P<scope>\w+)::(?P<registry>[\w -]+?) registry",
            r"(?P<name>[\w.]+?) is not in the (?P<registry>[\w -]+?) registry",
        ),
        anchors=("KeyError:", "Pleasecheckwhetherthevalue"),
        what="{name} is not registered as a {registry}.",
        why="The file that defines it was never imported: it is not in __init__.py of the "
        "installed package (a copy elsewhere does not count), custom_imports does not name it, or "
        "mmdet or mmpretrain is missing, whose parts some configs use. A name in quotes of its own "
        "('dataset_type') is a variable that was written as text.",
        sure='python -c "import mmseg; print(mmseg.__file__)" prints the copy that is used.',
        next=(
            "custom_imports = dict(imports=['my_project.my_dataset'], allow_failed_imports=False)",
            "mmseg-fix patch {config}  # own classes and files need no data set class of your own",
        ),
        examples=(
            "KeyError: 'FarmDataset is not in the mmseg::dataset registry. Please check whether "
            "the value of `FarmDataset` is correct or it was registered as expected. More details "
            "can be found at https://mmengine.readthedocs.io/en/latest/advanced_tutorials/"
            "config.html#import-the-custom-module'",
            "KeyError: \"'dataset_type' is not in the mmseg::dataset registry. Please check "
            "whether the value of `'dataset_type'` is correct or it was registered as expected.\"",
            "KeyError: 'AssertLabelBounds is not in the mmseg::transform registry.'",
            "KeyError: 'StanfordDataset is not in the dataset registry'",
        ),
        references=("mmseg#3652", "mmseg#1588", "mmseg#627"),
    ),
    Entry(
        id="argument-missing",
        title="A head is built without its class count",
        rank=14,
        patterns=(
            r"class [`'](?P<head>\w+)[`'] in .{1,200}?: (?:\w+\.)? __init__\(\) missing \d+ "
            r"required (?:keyword-only|positional) arguments?:.{0,80}?'num_classes'",
            r"(?:(?P<head>\w+)\.)? __init__\(\) missing \d+ required (?:keyword-only|positional) "
            r"arguments?:.{0,80}?'num_classes'",
        ),
        anchors=("__init__()missing",),
        what=("num_classes is missing for {head}.", "num_classes is missing for a head."),
        why="_delete_=True took the values of the base with it, or the head is written as a new "
        "list.",
        sure=_CHECK + " names the head.",
        next=("mmseg-fix patch {config} --classes a,b,c",),
        examples=(
            "TypeError: BaseDecodeHead.__init__() missing 1 required keyword-only argument: "
            "'num_classes'",
            "TypeError: class `FCNHead` in mmseg/models/decode_heads/fcn_head.py: __init__() "
            "missing 1 required keyword-only argument: 'num_classes'",
        ),
        rules=("MSF101",),
    ),
    Entry(
        id="argument-unknown",
        title="Something is given an argument that it does not have",
        rank=14,
        patterns=(
            r"(?P<who>[A-Za-z_]\w*?)\.?(?:__init__)?\(\) got an unexpected keyword argument "
            r"'(?P<name>classes|CLASSES|palette|PALETTE|num_classes|pretrained|ignore_index)'",
        ),
        anchors=("gotanunexpectedkeywordargument",),
        what="{who} was given {name}, which it does not take.",
        why="Names of 0.x, or of a tutorial for it: data sets of 1.x take "
        "metainfo=dict(classes=…, palette=…) instead of classes and palette, init_model takes a "
        "checkpoint and no pretrained, and a backbone no num_classes.",
        sure="Look at the signature: help(…).",
        next=("mmseg-fix patch {config} --classes a,b,c", _CHECK),
        examples=(
            "TypeError: BaseSegDataset.__init__() got an unexpected keyword argument 'classes'",
            "TypeError: __init__() got an unexpected keyword argument 'palette'",
            "TypeError: init_model() got an unexpected keyword argument 'pretrained'",
        ),
        rules=("MSF210",),
    ),
    Entry(
        id="class-counts-differ",
        title="Heads, data set and metrics do not agree on the number of classes",
        rank=16,
        patterns=(
            r"The [`']?num_classes[`']? \((?P<head_classes>\d+)\) in (?P<head>\w+?) of "
            r"(?P<model>\w+?) does not matches? the length of [`']?(?:CLASSES|classes)[`']? "
            r"(?P<classes>\d+)\) in (?P<dataset>[A-Z]\w*?)(?:$|\W|(?<=Dataset))",
            r"model, datasets and metrics do not agree on the classes, (?P<count>\d+) finding",
        ),
        anchors=("doesnotmatchesthelength", "donotagreeontheclasses"),
        what=(
            "{head} has {head_classes} classes, {dataset} has {classes}.",
            "ClassCountHook found {count} places that disagree; they are listed below it.",
        ),
        why="Not every place was changed: a second head, the heads of a list, the data set of "
        "validation, or the classes stand on a wrapper data set instead of the one inside.",
        sure=_CHECK + " lists all of them at once.",
        next=(
            _CHECK + " --fix",
            "mmseg-fix patch {config} --classes a,b,c  # sets all of them",
        ),
        examples=(
            "AssertionError: The `num_classes` (80) in Shared2FCBBoxHead of MMDataParallel does "
            "not matches the length of `CLASSES` 1) in CocoDataset",
            "AssertionError: The `num_classes` (3) in Shared2FCBBoxHead of "
            "MMDistributedDataParallel does not matches the length of `classes` 80) in "
            "RepeatDataset",
            "mmseg_fixkit.runtime.errors.ClassCountError: model, datasets and metrics do not agree "
            "on the classes, 2 findings:\n  MSF101 head-class-count: "
            "model.decode_head.num_classes is 19, but the training dataset BaseSegDataset has 8 "
            "classes",
        ),
        rules=("MSF101", "MSF102", "MSF104", "MSF201"),
        references=("mmdet#4828", "mmdet#6218", "mmdet#6532"),
    ),
    Entry(
        id="custom-imports-failed",
        title="A module that the config names cannot be imported",
        rank=7,
        patterns=(
            r"Failed to import custom modules from \{'imports': \[(?P<modules>[^\]]*)\]",
            r"Failed to import custom modules",
        ),
        anchors=("Failedtoimportcustommodules",),
        what=(
            "custom_imports names {modules}, and Python does not find it.",
            "custom_imports names a module that Python does not find.",
        ),
        why="It is not on sys.path: the run was started in another folder, or PYTHONPATH is not "
        "set.",
        sure='python -c "import the_module", in the folder and environment of the run.',
        next=(
            "PYTHONPATH=. python tools/train.py …, or pip install the project of the module.",
            "mmseg-fix check {config}  # does not import it, and works without it",
        ),
        examples=(
            "ImportError: Failed to import custom modules from {'imports': ['nopkg']}, the current "
            "sys.path is: ",
        ),
    ),
    Entry(
        id="pretrained-twice",
        title="Pretrained weights are asked for twice",
        rank=14,
        patterns=(r"both backbone and segmentor set pretrained weight",),
        anchors=("bothbackboneandsegmentor",),
        what="model.pretrained and model.backbone.pretrained (or init_cfg) are both set.",
        why="0.x wrote the one, 1.x writes the other; merging two configs brings both.",
        sure="print(cfg.model.pretrained, cfg.model.backbone.get('init_cfg')).",
        next=("Set model.pretrained=None, or leave backbone.init_cfg away.",),
        examples=("AssertionError: both backbone and segmentor set pretrained weight",),
    ),
)

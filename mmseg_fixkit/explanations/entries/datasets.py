"""Data sets: names, colours, folders."""

from __future__ import annotations

from mmseg_fixkit.explanations.entry import Entry

_CHECK = "mmseg-fix check {config}"

ENTRIES = (
    Entry(
        id="classes-one-text",
        title="The classes are one text instead of a list: a comma is missing",
        rank=20,
        patterns=(
            r"palette does not match classes as metainfo is \{ [^{}]*? 'classes': "
            r"'(?P<name>[^']+)'",
            r"(?:should be a tuple of str\. Add comma if number of classes is 1 as classes =) "
            r"\((?P<name>\w+),?\)",
        ),
        anchors=("palettedoesnotmatch", "shouldbeatupleofstr"),
        what="classes is the text '{name}', which MMSegmentation reads as a list of letters.",
        why="('{name}') is a text in brackets; only a comma makes it a list of one: ('{name}',).",
        sure="len(classes) is the number of letters.",
        next=(
            "Write classes=('{name}',).",
            "mmseg-fix patch {config} --classes background,{name}  # one class needs a background",
        ),
        examples=(
            "ValueError: palette does not match classes as metainfo is {'classes': 'water', "
            "'palette': [[0, 255, 255]], 'label_map': None, 'reduce_zero_label': False}.",
            "AssertionError: `classes` in CocoDatasetshould be a tuple of str.Add comma if number "
            "of classes is 1 as classes = (water,)",
        ),
        rules=("MSF203", "MSF202", "MSF108"),
        references=("mmseg#3505", "mmseg#3029", "mmdeploy#877"),
    ),
    Entry(
        id="palette-length",
        title="There are not as many colours as classes",
        rank=20,
        patterns=(
            r"palette does not match classes as metainfo is \{ [^{}\n]*? 'classes':(?!'|\n)",
            r"palette does not match classes as metainfo is (?!\{ [^{}]*? 'classes':') "
            r"\{[^{}\n]*\}",
            r"palette does not match classes as metainfo (?:\Z|(?!is)[^\n])",
            r"assert palette\.shape\[0\] == len\((?:self\.)? (?:CLASSES|classes)\)",
            r"The length of classes should be equal to palette",
            r"The length of palette should not be less than",
        ),
        anchors=(
            "palettedoesnotmatch",
            "assertpalette.shape",
            "lengthofclassesshouldbeequal",
            "lengthofpaletteshould",
        ),
        what="metainfo has a palette of another length than classes.",
        why="Classes were changed and the palette was not, or it is the one of another data set. "
        "Colours are for pictures only, but the lengths have to agree.",
        sure="mmseg-fix check says both lengths (MSF202).",
        next=(
            _CHECK + " --fix",
            "mmseg-fix patch {config} --classes a,b,c  # makes colours where there are none",
        ),
        examples=(
            "ValueError: palette does not match classes as metainfo is {'classes': ('a', 'b'), "
            "'palette': [[0, 255, 255]], 'label_map': None, 'reduce_zero_label': False}.",
            "ValueError: palette does not match classes as metainfo",
            "    assert palette.shape[0] == len(self.CLASSES)\nAssertionError",
            "AssertionError: The length of classes should be equal to palette",
            "AssertionError: The length of palette should not be less than `num_classes`.",
        ),
        rules=("MSF202",),
        references=("mmseg#3285", "mmseg#2023"),
    ),
    Entry(
        id="foreign-classes",
        title="A data set of MMSegmentation is given classes that are not its own",
        rank=20,
        patterns=(
            r"new classes (?P<new>[\[(].{1,900}?[\])]) is not a subset of classes .{1,4000}? in "
            r"(?:METAINFO|class_dom)",
            r"new classes .{1,900}? is not a subset of classes",
        ),
        anchors=("isnotasubsetofclasses",),
        what=(
            "The classes {new} are not among those of the data set class.",
            "Some of the classes are not among those of the data set class.",
        ),
        why="CityscapesDataset, ADE20KDataset and their like only take a selection of their own "
        "classes, and ignore the rest. Own classes need BaseSegDataset, with the file suffixes of "
        "the old class.",
        sure="mmseg-fix rule MSF204",
        next=(
            "mmseg-fix patch {config} --classes a,b,c  # another data set type, suffixes kept",
            _CHECK,
        ),
        examples=(
            "ValueError: new classes ('a', 'b') is not a subset of classes ('road', 'sidewalk', "
            "'building') in METAINFO.",
            "ValueError: new classes [...] is not a subset of classes [...] in METAINFO.",
        ),
        rules=("MSF204",),
    ),
    Entry(
        id="reduce-zero-label-twice",
        title="Loading and data set do not agree on reduce_zero_label",
        rank=22,
        patterns=(
            r"Initialize dataset with `?reduce_zero_label`? as (?P<dataset>True|False) but when "
            r"load annotation the `?reduce_zero_label`? is (?P<loading>True|False)",
        ),
        anchors=("Initializedatasetwith",),
        what="The data set says {dataset}, LoadAnnotations says {loading}.",
        why="The flag was changed in one place. It belongs to the data set, which hands it on.",
        sure="mmseg-fix check shows both places (MSF301).",
        next=(
            _CHECK + " --fix",
            "mmseg-fix scan {config}  # does 0 mean 'ignored' in the files at all?",
        ),
        examples=(
            "AssertionError: Initialize dataset with `reduce_zero_label` as False but when load "
            "annotation the `reduce_zero_label` is True",
        ),
        rules=("MSF301", "MSF302"),
        references=("mmseg PR#3235", "mmseg#1714"),
    ),
    Entry(
        id="classes-missing",
        title="The data set or the checkpoint does not name its classes",
        rank=21,
        patterns=(
            r"KeyError: '(?P<key>PALETTE|CLASSES|classes|palette)'",
            r"'(?P<owner>\w+)' object has no attribute '(?P<key>CLASSES|PALETTE)'",
            r"dataset metainfo `?(?P<key>classes)`? should be specified when testing",
            r"(?P<key>class) information is not provided when visualizing",
        ),
        anchors=(
            "KeyError:'",
            "hasnoattribute'CLASSES'",
            "hasnoattribute'PALETTE'",
            "shouldbespecifiedwhentesting",
            "classinformationisnotprovided",
        ),
        what="Something asked for {key}, and nobody has it.",
        why="metainfo has no classes, or has them under the names of 0.x (CLASSES, PALETTE), which "
        "1.x overlooks; or the checkpoint has no names in its meta.",
        sure="mmseg-fix check (MSF210 finds the old names).",
        next=(
            _CHECK + " --fix",
            "For a checkpoint: mmseg_fixkit.init_model takes the names from the config.",
        ),
        examples=(
            "KeyError: 'PALETTE'",
            "KeyError: 'CLASSES'",
            "KeyError: 'classes'",
            "AttributeError: 'EncoderDecoder' object has no attribute 'CLASSES'",
            "AssertionError: dataset metainfo `classes` should be specified when testing",
            "AssertionError: class information is not provided when visualizing semantic "
            "segmentation results.",
        ),
        rules=("MSF210", "MSF201"),
        references=("mmseg#2646", "mmseg#710", "mmseg#172", "mmseg#1562"),
    ),
    Entry(
        id="no-files",
        title="The data set found no files",
        rank=30,
        patterns=(
            r"num_samples should be a positive integer value, but got num_samples=0",
            r"need at least one array to concatenate",
        ),
        anchors=("num_samplesshouldbeapositive", "needatleastonearray"),
        what="The data set is empty.",
        why="The path is wrong, or the files end otherwise: BaseSegDataset looks for .jpg images "
        "and .png labels, Cityscapes for _leftImg8bit.png.",
        sure="ls data_root/img_path | head, and compare with img_suffix and seg_map_suffix.",
        next=(
            "mmseg-fix patch {config} --data-root DIR  # recognises usual layouts and suffixes",
            "mmseg-fix patch {config} --img-suffix .png --seg-map-suffix .png",
        ),
        examples=(
            "ValueError: num_samples should be a positive integer value, but got num_samples=0",
            "ValueError: need at least one array to concatenate",
        ),
        rules=("MSF206", "MSF211"),
        references=("mmseg#345", "mmseg#991", "mmseg#3015"),
    ),
    Entry(
        id="file-absent",
        title="An image or label file, or its folder, does not exist",
        rank=31,
        patterns=(
            r"No such file or directory: '(?P<file>[^']+?\.(?:png|jpe?g|tiff?|bmp|npy|webp))'",
            r"No such file or directory: '(?P<file>[^']*?(?:img|image|ann|label|mask|leftImg8bit|"
            r"gtFine|train|val)[^'./]*?)'",
        ),
        anchors=("Nosuchfileordirectory",),
        what="{file} does not exist.",
        why="The path is relative to the folder that the run was started in; data_root may stand "
        "in it twice; or the label of an image is missing or has another suffix.",
        sure="ls -l {file}",
        next=(
            "mmseg-fix check {config}  # MSF211: data_root written twice",
            "mmseg-fix patch {config} --data-root DIR",
            "mmseg-fix scan {config}  # images without labels, labels without images",
        ),
        examples=(
            "FileNotFoundError: [Errno 2] No such file or directory: 'data/farm/ann/00_x.png'",
            "FileNotFoundError: [Errno 2] No such file or directory: 'nowhere/img_dir/train'",
        ),
        rules=("MSF211",),
    ),
    Entry(
        id="datasets-differ",
        title="Data sets that are joined have other classes",
        rank=20,
        patterns=(
            r"The meta information of the (?P<index>\d+)-th dataset does not match",
            r"does not in the meta information of the (?P<index>\d+)-th dataset",
        ),
        anchors=("metainformationofthe",),
        what="Data set {index} of a ConcatDataset has other classes, colours or settings than the "
        "first.",
        why="All parts of a ConcatDataset count as one data set, with one list of classes.",
        sure="mmseg-fix check compares them (MSF201).",
        next=("mmseg-fix patch {config} --classes a,b,c  # the same metainfo for each part",),
        examples=(
            "ValueError: The meta information of the 2-th dataset does not match meta information "
            "of the first dataset",
        ),
        rules=("MSF201", "MSF202"),
    ),
    Entry(
        id="labels-not-loaded",
        title="There are no labels where they are needed",
        rank=32,
        patterns=(r"KeyError: '(?P<key>gt_sem_seg|gt_seg_map|seg_map_path|gt_semantic_seg)'",),
        anchors=("KeyError:'",),
        what="A sample has no {key}.",
        why="The pipeline has no LoadAnnotations (or PackSegInputs stands before it), or the test "
        "set has no labels: IoUMetric then needs format_only=True.",
        sure="Look for LoadAnnotations in the pipeline of the split that fails.",
        next=(
            "mmseg-fix preflight {config}",
            "Without labels: test_evaluator=dict(type='IoUMetric', format_only=True, "
            "output_dir=…).",
        ),
        examples=("KeyError: 'gt_sem_seg'", "KeyError: 'seg_map_path'"),
    ),
)

"""Checkpoint files that cannot be read, and runs that cannot be resumed."""

from __future__ import annotations

from mmseg_fixkit.explanations.entry import Entry

_DRY = "mmseg-fix adapt {checkpoint} {config} --dry-run  # reads it safely, or says what is in it"

ENTRIES = (
    Entry(
        id="checkpoint-weights-only",
        title="torch 2.6 and newer refuse the pickled objects in the checkpoint",
        rank=70,
        patterns=(
            r"Unsupported global: GLOBAL (?P<object>[\w.]+?) was not an allowed global",
            r"Weights only load failed",
        ),
        anchors=("Weightsonlyloadfailed", "Unsupportedglobal:GLOBAL"),
        what=(
            "The checkpoint holds {object}, which torch.load does not unpickle by default since "
            "2.6.",
            "The checkpoint holds more than tensors, and torch.load unpickles tensors only since "
            "2.6.",
        ),
        why="mmengine 0.10 writes its HistoryBuffer and numpy numbers into every checkpoint, and "
        "reads them with a torch.load whose default has changed. The file is whole.",
        sure="The message names mmengine or numpy objects.",
        next=(
            "mmseg-fix adapt {checkpoint} {config} -o clean.pth  # reads it with a short list of "
            "allowed objects and writes tensors",
            "In code: mmseg_fixkit.load_checkpoint(file); or update to mmengine 0.11 or "
            "onedl-mmengine 0.10.12.",
        ),
        examples=(
            "_pickle.UnpicklingError: Weights only load failed. This file can still be loaded, to "
            "do so you have two options, do those steps only if you trust the source of the "
            "checkpoint.",
            "WeightsUnpickler error: Unsupported global: GLOBAL "
            "mmengine.logging.history_buffer.HistoryBuffer was not an allowed global by default.",
            "WeightsUnpickler error: Unsupported global: GLOBAL numpy._core.multiarray.scalar was "
            "not an allowed global by default. Please use "
            "`torch.serialization.add_safe_globals([scalar])`",
        ),
        after=("checkpoint-no-checkpoint",),
        references=("mmengine#1655", "mmengine PR#1650"),
    ),
    Entry(
        id="checkpoint-no-checkpoint",
        title="The file is no checkpoint",
        rank=65,
        patterns=(
            r"Unsupported operand (?P<byte>\d+)",
            r"invalid load key, '(?P<key>[^']{1,6})'",
        ),
        anchors=("Unsupportedoperand", "invalidloadkey"),
        what="The file does not begin as torch files do.",
        why="What was saved is a web page (key '<', operand 60), a Git LFS pointer (key 'v', "
        "operand 118), or a text: the download led to a page, or Git LFS was not run.",
        sure="Look at its first line: head -c 200 FILE.",
        next=(
            _DRY,
            "Fetch it again: the file itself, not the page that shows it; git lfs pull for a "
            "pointer.",
        ),
        examples=(
            "_pickle.UnpicklingError: Weights only load failed. In PyTorch 2.6, we changed the "
            "default value of the `weights_only` argument in `torch.load` from `False` to `True`. "
            "Please file an issue with the following so that we can make `weights_only=True` "
            "compatible with your use case: WeightsUnpickler error: \n\nUnsupported operand 60",
            "_pickle.UnpicklingError: invalid load key, '<'.",
            "_pickle.UnpicklingError: invalid load key, 'v'.",
        ),
        also=("checkpoint-weights-only",),
    ),
    Entry(
        id="checkpoint-broken",
        title="The checkpoint file is cut short or damaged",
        rank=65,
        patterns=(
            r"PytorchStreamReader failed reading",
            r"PytorchStreamReader failed (?:locating|opening)",
            r"unexpected EOF, expected (?P<bytes>\d+) more bytes",
            r"EOFError: Ran out of input",
            r"torch/(?:serialization|_weights_only_unpickler)\.py\",line .{0,600}? EOFError(?!:)",
            r"storage has wrong (?:byte )?size",
            r"invalid hash value \(expected",
        ),
        anchors=(
            "PytorchStreamReader",
            "unexpectedEOF,expected",
            "EOFError",
            "storagehaswrong",
            "invalidhashvalue",
        ),
        what="The end of the file is missing, or its parts do not add up.",
        why="The download or the copy was interrupted, the disk was full when it was written, or "
        "the run was killed while saving.",
        sure="Compare its size with the one that the download page or the writing machine shows.",
        next=(
            "Fetch it again; delete the copy in ~/.cache/torch/hub/checkpoints first, if it is "
            "there.",
            "Of your own run: take the checkpoint before it.",
        ),
        examples=(
            "RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central "
            "directory",
            "RuntimeError: PytorchStreamReader failed reading file data/12: file read failed",
            "RuntimeError: unexpected EOF, expected 1234 more bytes. The file might be corrupted.",
            "EOFError: Ran out of input",
            '  File "/opt/venv/torch/serialization.py", line 1554, in load\n    return '
            "_legacy_load(\n"
            "EOFError",
            "RuntimeError: storage has wrong byte size: expected 9437184 got 1024",
            'RuntimeError: invalid hash value (expected "0676ba61", got "a9b3c2d1")',
        ),
    ),
    Entry(
        id="checkpoint-absent",
        title="There is no checkpoint under this name",
        rank=64,
        patterns=(
            r"(?:Error:)? (?P<checkpoint>[\w./\\~:-]+?\.(?:pth|pt|ckpt|safetensors)) can not be "
            r"found",
            r"No such file or directory: '(?P<checkpoint>[^']+?\.(?:pth|pt|ckpt|safetensors))'",
        ),
        anchors=(".pthcannotbefound", "Nosuchfileordirectory"),
        what="{checkpoint} does not exist.",
        why="load_from, resume or init_cfg.checkpoint is relative to the folder that the run was "
        "started in.",
        sure="ls -l {checkpoint}, from the folder that the run starts in.",
        next=("mmseg-fix patch {config} --load-from FILE",),
        examples=(
            "FileNotFoundError: work_dirs/a/iter_100.pth can not be found.",
            "FileNotFoundError: [Errno 2] No such file or directory: 'none.pth'",
        ),
    ),
    Entry(
        id="checkpoint-without-state",
        title="The file holds no state dict",
        rank=65,
        patterns=(
            r"No state_dict found in checkpoint file (?P<checkpoint>[\w./\\~:-]+)",
            r"(?P<prefix>[\w.]+) is not in the pretrained model",
        ),
        anchors=("Nostate_dictfoundin", "isnotinthepretrainedmodel"),
        what="The file can be read, but it is not the form of a checkpoint that was expected.",
        why="It holds a list, a whole pickled model, or no tensors under the prefix that "
        "init_cfg asks for.",
        sure="mmseg_fixkit.load_checkpoint(file) shows what is in it.",
        next=(_DRY,),
        examples=(
            "RuntimeError: No state_dict found in checkpoint file list.pth",
            "AssertionError: backbone. is not in the pretrained model",
        ),
    ),
    Entry(
        id="resume-optimizer",
        title="A run cannot be resumed: the optimizer belongs to another head",
        rank=76,
        patterns=(
            r"loaded state dict contains a parameter group that doesn't match the size of "
            r"optimizer's group",
            r"loaded state dict has a different number of parameter groups",
        ),
        anchors=("containsaparametergroup", "hasadifferentnumberofparametergroups"),
        what="The optimizer state in the checkpoint has other parameters than the model.",
        why="The classes, a head or paramwise_cfg were changed after the run began. Resuming "
        "continues the same model; another one starts from its weights.",
        sure="Compare the config in the work dir with yours.",
        next=(
            "Set resume=False and load_from to the checkpoint.",
            "mmseg-fix adapt {checkpoint} {config} -o adapted.pth  # if the classes changed",
        ),
        examples=(
            "ValueError: loaded state dict contains a parameter group that doesn't match the size "
            "of optimizer's group",
            "ValueError: loaded state dict has a different number of parameter groups",
        ),
        references=("facebookresearch/GloRe#8", "Vegeta2020/SE-SSD#37"),
    ),
    Entry(
        id="resume-other-classes",
        title="A run is resumed with other classes than it began with",
        rank=71,
        patterns=(
            r"The dataset metainfo from the resumed checkpoint is different",
            r"is of a run with other classes and cannot be resumed",
        ),
        anchors=("metainfofromtheresumedcheckpoint", "isofarunwithotherclasses"),
        what="The checkpoint names other classes or colours than the training data set.",
        why="metainfo was changed after the run began. Of the same length, MMEngine goes on and "
        "mixes up the classes without a word but this one.",
        sure="Colours alone may differ; then it is harmless.",
        next=(
            "Set resume=False and load_from to the checkpoint.",
            "mmseg-fix adapt {checkpoint} {config} -o adapted.pth  # rows go to their class by "
            "name",
        ),
        examples=(
            "The dataset metainfo from the resumed checkpoint is different from the current "
            "training dataset, please check the correctness of the checkpoint or the training "
            "dataset.",
            "CheckpointMismatch: iter_100.pth is of a run with other classes and cannot be "
            "resumed: the optimizer state in it belongs to its own rows",
        ),
    ),
    Entry(
        id="checkpoint-without-names",
        title="The checkpoint does not name its classes: names and colours are guessed",
        rank=77,
        patterns=(
            r"dataset_meta or class names are not saved in the checkpoint's meta data",
            r"No suitable dataset found, use Cityscapes by default",
            r"Class names are not saved in the checkpoint's meta data, use COCO classes",
        ),
        anchors=(
            "namesarenotsavedinthe",
            "useCityscapesbydefault",
        ),
        what="init_model takes the first known data set with as many classes, or Cityscapes.",
        why="meta.dataset_meta is missing: a converted checkpoint, or one of an older version. "
        "Pictures then show wrong names and colours; the predicted numbers are right.",
        sure="print(model.dataset_meta['classes']).",
        next=(
            "model.dataset_meta = dict(classes=(…), palette=[…]) after init_model, or "
            "mmseg_fixkit.init_model, which takes them from the config.",
        ),
        examples=(
            "UserWarning: dataset_meta or class names are not saved in the checkpoint's meta data, "
            "classes and palette will beset according to num_classes ",
            "UserWarning: No suitable dataset found, use Cityscapes by default",
            "UserWarning: Class names are not saved in the checkpoint's meta data, use COCO "
            "classes by default.",
        ),
        references=("mmseg#3334", "mmdet#11364"),
    ),
    Entry(
        id="checkpoint-for-gpu",
        title="The checkpoint wants a GPU that is not here",
        rank=66,
        patterns=(r"Attempting to deserialize object on (?:a )?CUDA device",),
        anchors=("Attemptingtodeserializeobject",),
        what="The tensors were saved on a GPU, and torch wants to put them back there.",
        why="torch.load was called without map_location. MMEngine's load_checkpoint takes "
        "map_location='cpu'.",
        sure="torch.cuda.is_available() is False here.",
        next=("torch.load(file, map_location='cpu'), or mmseg_fixkit.load_checkpoint(file).",),
        examples=(
            "RuntimeError: Attempting to deserialize object on a CUDA device but "
            "torch.cuda.is_available() is False.",
            "RuntimeError: Attempting to deserialize object on CUDA device 1 but "
            "torch.cuda.device_count() is 1.",
        ),
    ),
)

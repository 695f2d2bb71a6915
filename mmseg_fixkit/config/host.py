"""What the installed MMSegmentation declares, read from its files without importing it."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Optional

from mmseg_fixkit.config.source import literal
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import is_file

#: The value that every zoo config of a query head gives the "no object" entry of class_weight.
NO_OBJECT_WEIGHT = 0.1

NO_STACK = (
    "no OpenMMLab stack is installed here; install one of the two extras: "
    "pip install 'mmseg-fixkit[openmmlab]' (mmengine, mmcv, mmsegmentation, mmdet), or "
    "pip install 'mmseg-fixkit[onedl]' (the maintained fork, same import names)"
)


class HeadKind(str, Enum):
    """How a head depends on the class count."""

    PER_PIXEL = "per-pixel"  # N channels, class_weight of N
    QUERY = "query"  # N classes and "no object", class_weight of N + 1
    TEXT = "text"  # classes are words for a text encoder, class_weight of N + 1
    BOUNDARY = "boundary"  # predicts edges with its own two classes
    DEPTH = "depth"  # no classes at all


@dataclass(frozen=True)
class ClassAxis:
    """An axis of a tensor on which the classes stand."""

    dim: int
    #: the classes are inputs, and stand last, behind the channels of the features
    inputs: bool = False
    only_if: str = ""  # an attribute of the head without which the tensor has no such axis


#: What a tensor of a class layer has unless the table says otherwise: a row for each class.
CLASS_ROWS = (ClassAxis(0),)


@dataclass(frozen=True)
class HeadSpec:
    """The class-dependent facts of one head type. Names are regular expressions, below the head."""

    kind: HeadKind = HeadKind.PER_PIXEL
    default_num_classes: Optional[int] = None  # of the host, where num_classes is left out
    owns_num_classes: bool = True  # False where a nested head holds it (K-Net's outer head)
    class_layers: tuple[str, ...] = (r"conv_seg",)  # layers or tensors that follow N
    #: where the classes stand in tensors, in the order of looking; others have a row for each
    class_axes: tuple[tuple[str, tuple[ClassAxis, ...]], ...] = ()
    one_channel_fault: str = ""  # why one channel cannot be for two classes; empty if it can

    @property
    def channels_follow_classes(self) -> bool:
        """Whether ``out_channels`` is a class count (in other heads it is a feature width)."""
        return self.kind is HeadKind.PER_PIXEL and bool(self.class_layers)


_QUERY_LAYERS = (r"cls_embed",)

#: ``PointHead.forward`` puts the coarse prediction behind the fine features, and with
#: ``coarse_pred_each_layer`` behind the output of every layer again.
_COARSE = ClassAxis(1, inputs=True)
_COARSE_AGAIN = ClassAxis(1, inputs=True, only_if="coarse_pred_each_layer")
_POINT_AXES = (
    (r"fc_seg\.weight", (ClassAxis(0), _COARSE_AGAIN)),
    (r"fcs\.0\.conv\.weight", (_COARSE,)),
    (r"fcs\.\d+\.conv\.weight", (_COARSE_AGAIN,)),
)

# Measured: with out_channels=1 these stop in training or at the first prediction.
_POINTS = "looks for points whose two best classes are close, and has an output for each class"
_MASKS = "makes a mask for each class, whatever out_channels says"
_KERNELS = "has a kernel for each class and no threshold"

#: Head types that differ from a plain ``BaseDecodeHead``, whose one class layer is ``conv_seg``.
#: Layers measured on mmsegmentation 1.2.2: every zoo config built at two class counts.
HEAD_SPECS: dict[str, HeadSpec] = {
    "DAHead": HeadSpec(class_layers=(r"conv_seg", r"pam_conv_seg", r"cam_conv_seg")),
    "EncHead": HeadSpec(class_layers=(r"conv_seg", r"se_layer")),
    "DDRHead": HeadSpec(class_layers=(r"conv_seg", r"aux_cls_seg")),
    "PIDHead": HeadSpec(class_layers=(r"conv_seg", r"p_cls_seg")),
    "PointHead": HeadSpec(
        class_layers=(r"fc_seg", r"fcs\.\d+\.conv\.weight"),  # inputs: biases do not follow
        class_axes=_POINT_AXES,
        one_channel_fault=_POINTS,
    ),
    "SegmenterMaskTransformerHead": HeadSpec(
        class_layers=(r"cls_emb", r"mask_norm"),
        class_axes=((r"cls_emb", (ClassAxis(1),)),),
        one_channel_fault=_MASKS,
    ),
    "IterativeDecodeHead": HeadSpec(
        owns_num_classes=False, class_layers=(), one_channel_fault=_KERNELS
    ),
    "KernelUpdateHead": HeadSpec(default_num_classes=150, class_layers=()),
    "Mask2FormerHead": HeadSpec(HeadKind.QUERY, class_layers=_QUERY_LAYERS),
    "MaskFormerHead": HeadSpec(HeadKind.QUERY, 150, class_layers=_QUERY_LAYERS),
    "SideAdapterCLIPHead": HeadSpec(HeadKind.TEXT, class_layers=()),
    "STDCHead": HeadSpec(HeadKind.BOUNDARY, class_layers=()),
    "VPDDepthHead": HeadSpec(HeadKind.DEPTH, owns_num_classes=False, class_layers=()),
}

_PLAIN_HEAD = HeadSpec()

#: The tensors of all heads whose classes stand behind the first axis only.
INNER_CLASS_TENSORS = tuple(
    name
    for spec in HEAD_SPECS.values()
    for name, axes in spec.class_axes
    if all(axis.dim for axis in axes)
)

#: The class layers of all heads that have a row for each class.
CLASS_ROW_LAYERS = tuple(
    dict.fromkeys(
        layer
        for spec in (_PLAIN_HEAD, *HEAD_SPECS.values())
        for layer in spec.class_layers
        if layer not in INNER_CLASS_TENSORS
    )
)

#: Where heads that the host does not have keep the class count; the first that is written holds.
COUNT_KEYS = ("num_classes", "num_class", "n_classes", "n_class", "num_cls", "n_cls", "nclass")

#: mmdet's panoptic layout: together they are the class count.
THINGS, STUFF = "num_things_classes", "num_stuff_classes"

_EDGES = re.compile("boundary|edge|contour|depth", re.I)

#: Losses that take ``class_weight``, and whose weights are one for each class.
WEIGHTED_LOSSES = frozenset(
    {
        "CrossEntropyLoss",
        "ClassWeightedCrossEntropyLoss",
        "FocalLoss",
        "HuasdorffDisstanceLoss",
        "LovaszLoss",
        "OhemCrossEntropy",
        "TverskyLoss",
    }
)

#: Of these the ones that also take the name of a file; mmdet's losses never do.
FILE_READING_LOSSES = WEIGHTED_LOSSES - {"FocalLoss", "OhemCrossEntropy"}

#: Takes ``class_weight``, but asserts that it has as many dimensions as there are classes.
STOPPING_LOSSES = frozenset({"HuasdorffDisstanceLoss"})

#: Losses of the host that cannot be built with ``class_weight``.
UNWEIGHTED_LOSSES = frozenset({"BoundaryLoss", "DiceLoss", "KLDivLoss", "SiLogLoss"})

#: Losses that take scores and labels and nothing else, and the heads that call them so. All other
#: per-pixel heads also pass ``weight`` and ``ignore_index`` (``BaseDecodeHead.loss_by_feat``).
TWO_ARGUMENT_LOSSES = frozenset({"BoundaryLoss", "OhemCrossEntropy"})
TWO_ARGUMENT_HEADS = frozenset({"DDRHead", "PIDHead"})

#: Losses that ignore a label of their own, whatever their head ignores. ``DiceLoss`` is not one of
#: them: its ``ignore_index`` is a channel that it leaves out.
IGNORING_LOSSES = {
    "HuasdorffDisstanceLoss": "ignore_index",
    "OhemCrossEntropy": "ignore_label",
    "TverskyLoss": "ignore_index",
}

#: Metrics that only fit the dataset they are named for.
DATASET_METRICS = frozenset({"CityscapesMetric"})

#: Dataset wrappers and the key that holds what they wrap.
DATASET_WRAPPERS = {
    "ConcatDataset": "datasets",
    "RepeatDataset": "dataset",
    "ClassBalancedDataset": "dataset",
    "MultiImageMixDataset": "dataset",
}


def type_name(kind: object) -> str:
    """Return the bare class name of a ``type=`` value: a name with or without scope, or a class."""
    text = kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
    return text.rsplit(".", 1)[-1]


def of_host(kind: object) -> bool:
    """Whether a ``type=`` value names something of MMSegmentation itself by its scope."""
    text = kind if isinstance(kind, str) else f"{getattr(kind, '__module__', '')}."
    return "." not in text or text.split(".")[0] == "mmseg"


def head_spec(kind: object, config: Optional[dict[str, Any]] = None) -> HeadSpec:
    """Return the facts of a head type.

    A type that the table does not list is a per-pixel head, unless the host does not have it and
    its ``config`` shows something else.
    """
    name = type_name(kind)
    if name in HEAD_SPECS:
        return HEAD_SPECS[name]
    return _PLAIN_HEAD if config is None or knows_head(kind) else _shown_by(name, config)


def knows_head(kind: object) -> bool:
    """Whether the host has this head type."""
    return of_host(kind) and type_name(kind) in _head_classes()


@cache
def _head_classes() -> frozenset[str]:
    root = package_path()
    files = (root / "models" / "decode_heads").glob("*.py") if root else ()
    texts = (path.read_text(encoding="utf-8") for path in files)
    return frozenset(n for text in texts for n in re.findall(r"^class (\w+)", text, re.M))


def _shown_by(name: str, config: dict[str, Any]) -> HeadSpec:
    """What the config of an unknown head tells of its kind."""
    count = written_count(config)
    if count in (1, 2) and _EDGES.search(name):
        return HeadSpec(HeadKind.BOUNDARY, class_layers=())
    if _scores_queries(config.get("loss_cls"), config, count):
        return HeadSpec(HeadKind.QUERY, class_layers=_QUERY_LAYERS)
    # BaseDecodeHead takes no other out_channels than these, so elsewhere it is a width.
    if config.get("out_channels") not in (None, 1, count):
        return HeadSpec(class_layers=())
    return _PLAIN_HEAD


def _scores_queries(loss: Any, config: dict[str, Any], count: Optional[int]) -> bool:
    """Whether ``loss_cls`` is a softmax over the classes and "no object"."""
    if not isinstance(loss, dict) or loss.get("use_sigmoid"):
        return False
    weights = loss.get("class_weight")
    one_more = isinstance(weights, (list, tuple)) and count and len(weights) == count + 1
    return bool(one_more) or "num_queries" in config


def written_count(config: dict[str, Any]) -> Optional[int]:
    """Return the class count that a head's dict shows; None where it shows none."""
    for key in COUNT_KEYS:
        if key in config:
            count = config[key]
            return count if isinstance(count, int) else None
    return panoptic_count(config)


def panoptic_count(config: dict[str, Any]) -> Optional[int]:
    """Return things and stuff together, as ``Mask2FormerHead`` of mmdet 3.3.0 counts them."""
    parts = [config[key] for key in (THINGS, STUFF) if key in config]
    return sum(parts) if parts and all(isinstance(part, int) for part in parts) else None


@dataclass(frozen=True)
class DatasetInfo:
    """What a dataset class of the host declares."""

    classes: Optional[tuple[str, ...]]
    palette: Optional[tuple[tuple[int, int, int], ...]]
    img_suffix: str = ".jpg"
    seg_map_suffix: str = ".png"
    reduce_zero_label: bool = False
    plain_type: str = "BaseSegDataset"


_PLAIN_DATASET = DatasetInfo(None, None)

#: Dataset types without classes of their own, for classes of the user's.
_PLAIN_TYPES = {
    "BaseSegDataset": _PLAIN_DATASET,
    "BaseCDDataset": DatasetInfo(None, None, plain_type="BaseCDDataset"),
}


def package_path(package: str = "mmseg") -> Optional[Path]:
    """Return the folder of an installed package without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def zoo_path(name: str) -> Path:
    """Return the file behind a name such as ``mmseg::pspnet/pspnet_r50-d8_….py``.

    MMEngine 0.10.7 resolves such names through ``pkg_resources``, which newer setuptools lack,
    and reads every metafile on the way; the folder is all that is needed.

    Raises:
        FixkitError: the package or the config is not installed.
    """
    package, _, relative = name.partition("::")
    # A name with a dot would import what stands before it.
    root = package_path(package) if package.isidentifier() else None
    if root is None:
        raise FixkitError(f"{name}: the package {package!r} is not installed here. {NO_STACK}")
    configs = root / ".mim" / "configs"
    relative = relative if relative.endswith(".py") else f"{relative}.py"
    path = configs / relative
    if not is_file(path):
        raise FixkitError(f"{name}: there is no such config in {configs}{_nearest(path)}")
    return path


def _nearest(path: Path) -> str:
    from difflib import get_close_matches

    close = get_close_matches(path.name, [p.name for p in path.parent.glob("*.py")], 3)
    return f"; near it are {', '.join(close)}" if close else ""


def reads_zoo_names() -> bool:
    """Whether MMEngine here resolves ``mmseg::…`` in ``_base_``.

    mmengine 0.10.7 needs ``pkg_resources`` for it, and every version asks for a distribution
    called ``mmsegmentation``, which the onedl stack does not have.
    """
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        distribution("mmsegmentation")
    except PackageNotFoundError:
        return False
    return importlib.util.find_spec("pkg_resources") is not None


@cache
def dataset_info(kind: str) -> Optional[DatasetInfo]:
    """Return what the host's dataset class ``kind`` declares; None where the host has none.

    ``METAINFO`` and the defaults of ``__init__`` are read from the source, following base classes.
    """
    if kind in _PLAIN_TYPES:
        return _PLAIN_TYPES[kind]
    node = _dataset_classes().get(kind)
    if node is None:
        return None
    parsed = _parse_class(*node)
    return _declared(parsed, node[1]) if parsed else None


@cache
def known_class_names() -> dict[str, tuple[str, ...]]:
    """Return the classes of every dataset type of the host that declares some."""
    infos = {kind: dataset_info(kind) for kind in _dataset_classes()}
    return {kind: info.classes for kind, info in infos.items() if info and info.classes}


@cache
def _dataset_classes() -> dict[str, tuple[str, str]]:
    """Class name -> (source file, text) for every class in ``mmseg/datasets``."""
    root = package_path()
    if root is None:
        return {}
    found: dict[str, tuple[str, str]] = {}
    for path in sorted((root / "datasets").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"^class (\w+)", text, re.M):
            found[name] = (name, text)
    return found


def _parse_class(name: str, text: str) -> Optional[ast.ClassDef]:
    # Only the class itself is parsed: the files hold little else, METAINFO tables aside.
    match = re.search(rf"^class {name}\b.*?(?=^\S|\Z)", text, re.M | re.S)
    if match is None:
        return None
    node = ast.parse(match.group(0)).body[0]
    return node if isinstance(node, ast.ClassDef) else None


def _declared(node: ast.ClassDef, text: str) -> DatasetInfo:
    inherited = _PLAIN_DATASET
    for base in node.bases:
        if isinstance(base, ast.Name):
            inherited = dataset_info(base.id) or inherited
    meta = _metainfo(node, text)
    defaults = dict(_init_defaults(node))
    return DatasetInfo(
        classes=tuple(meta["classes"]) if "classes" in meta else inherited.classes,
        palette=_palette(meta["palette"]) if "palette" in meta else inherited.palette,
        img_suffix=defaults.get("img_suffix", inherited.img_suffix),
        seg_map_suffix=defaults.get("seg_map_suffix", inherited.seg_map_suffix),
        reduce_zero_label=defaults.get("reduce_zero_label", inherited.reduce_zero_label),
        plain_type=inherited.plain_type,
    )


def _palette(colors: Any) -> tuple[tuple[int, int, int], ...]:
    return tuple((c[0], c[1], c[2]) for c in colors)


def _metainfo(node: ast.ClassDef, text: str) -> dict[str, Any]:
    value = _assigned(node.body).get("METAINFO")
    if value is None:
        return {}
    names = {n.id for n in ast.walk(value) if isinstance(n, ast.Name)} - {"dict"}
    if names:  # the tables stand beside the class
        value = _Inlined(_assigned(ast.parse(text).body)).visit(value)
    found = literal(value)
    return found if isinstance(found, dict) else {}


def _assigned(body: list[ast.stmt]) -> dict[str, ast.expr]:
    return {
        target.id: statement.value
        for statement in body
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None
        for target in getattr(statement, "targets", None) or [getattr(statement, "target", None)]
        if isinstance(target, ast.Name)
    }


class _Inlined(ast.NodeTransformer):
    """Puts values in the place of the names that stand for them."""

    def __init__(self, values: dict[str, ast.expr]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.values.get(node.id, node)


def _init_defaults(node: ast.ClassDef) -> Iterator[tuple[str, Any]]:
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            names = [a.arg for a in statement.args.args]
            values = statement.args.defaults
            for name, value in zip(names[len(names) - len(values) :], values):
                if isinstance(value, ast.Constant):
                    yield name, value.value


@cache
def class_weight_crash_on_ignored(avg_non_ignore: bool = False) -> bool:
    """Whether the host's ``CrossEntropyLoss`` crashes on class weights and one ignored pixel.

    mmsegmentation 1.2.2 indexes the weights with the raw label (mmsegmentation #3568, #3574 …).
    onedl-mmsegmentation 1.4.2 indexes with the labels that count, but with ``avg_non_ignore=True``
    it still masks what it found with all labels, and crashes on the first batch.
    """
    root = package_path()
    source = root / "models" / "losses" / "cross_entropy_loss.py" if root else None
    if source is None or not is_file(source):
        return False
    text = source.read_text(encoding="utf-8")
    if "class_weight[cls] for cls in label" in text:
        return True
    return avg_non_ignore and "class_weight[label[label != ignore_index]]" in text


@cache
def lists_as_base(kind: str) -> Optional[bool]:
    """Whether a dataset class lists its files as ``BaseSegDataset`` does; None if it is not known.

    Those with a list of their own (DSDL, Decathlon, NYU depth, pairs of images) read other files.
    """
    if kind == "BaseSegDataset":
        return True
    node = _dataset_classes().get(kind)
    parsed = _parse_class(*node) if node else None
    if parsed is None:
        return None
    own = {statement.name for statement in parsed.body if isinstance(statement, ast.FunctionDef)}
    bases = (base.id for base in parsed.bases if isinstance(base, ast.Name))
    return "load_data_list" not in own and any(lists_as_base(base) for base in bases)

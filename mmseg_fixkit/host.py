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

from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.source import literal

#: The value that every zoo config of a query head gives the "no object" entry of class_weight.
NO_OBJECT_WEIGHT = 0.1

NO_STACK = (
    "no OpenMMLab stack is installed here; install one of the two extras:\n"
    "  pip install 'mmseg-fixkit[openmmlab]'   (mmengine, mmcv, mmsegmentation, mmdet)\n"
    "  pip install 'mmseg-fixkit[onedl]'       (the maintained fork, same import names)"
)


class HeadKind(str, Enum):
    """How a head depends on the class count."""

    PER_PIXEL = "per-pixel"  # N channels, class_weight of N
    QUERY = "query"  # N classes and "no object", class_weight of N + 1
    TEXT = "text"  # classes are words for a text encoder, class_weight of N + 1
    BOUNDARY = "boundary"  # predicts edges with its own two classes
    DEPTH = "depth"  # no classes at all


@dataclass(frozen=True)
class HeadSpec:
    """The class-dependent facts of one head type.

    Args:
        kind: see :class:`HeadKind`.
        default_num_classes: what the host assumes where ``num_classes`` is left out.
        owns_num_classes: False where a nested head holds the count (K-Net's outer head).
        class_layers: names below the head whose tensors follow N, as regular expressions.
    """

    kind: HeadKind = HeadKind.PER_PIXEL
    default_num_classes: Optional[int] = None
    owns_num_classes: bool = True
    class_layers: tuple[str, ...] = (r"conv_seg",)

    @property
    def channels_follow_classes(self) -> bool:
        """Whether ``out_channels`` is a class count (in other heads it is a feature width)."""
        return self.kind is HeadKind.PER_PIXEL and bool(self.class_layers)


_QUERY_LAYERS = (r"cls_embed",)

#: Head types that differ from a plain ``BaseDecodeHead``, whose one class layer is ``conv_seg``.
#: Layers measured on mmsegmentation 1.2.2: every zoo config built at two class counts.
HEAD_SPECS: dict[str, HeadSpec] = {
    "DAHead": HeadSpec(class_layers=(r"conv_seg", r"pam_conv_seg", r"cam_conv_seg")),
    "EncHead": HeadSpec(class_layers=(r"conv_seg", r"se_layer")),
    "DDRHead": HeadSpec(class_layers=(r"conv_seg", r"aux_cls_seg")),
    "PIDHead": HeadSpec(class_layers=(r"conv_seg", r"p_cls_seg")),
    "PointHead": HeadSpec(class_layers=(r"fc_seg", r"fcs\.\d+\.conv")),
    "SegmenterMaskTransformerHead": HeadSpec(class_layers=(r"cls_emb", r"mask_norm")),
    "IterativeDecodeHead": HeadSpec(owns_num_classes=False, class_layers=()),
    "KernelUpdateHead": HeadSpec(default_num_classes=150, class_layers=()),
    "Mask2FormerHead": HeadSpec(HeadKind.QUERY, class_layers=_QUERY_LAYERS),
    "MaskFormerHead": HeadSpec(HeadKind.QUERY, 150, class_layers=_QUERY_LAYERS),
    "SideAdapterCLIPHead": HeadSpec(HeadKind.TEXT, class_layers=()),
    "STDCHead": HeadSpec(HeadKind.BOUNDARY, class_layers=()),
    "VPDDepthHead": HeadSpec(HeadKind.DEPTH, owns_num_classes=False, class_layers=()),
}

_PLAIN_HEAD = HeadSpec()

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


def head_spec(kind: object) -> HeadSpec:
    """Return the facts of a head type; a type that is not in the table is a per-pixel head."""
    return HEAD_SPECS.get(type_name(kind), _PLAIN_HEAD)


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
    root = package_path(package)
    if root is None:
        raise FixkitError(f"{name}: the package {package!r} is not installed here. {NO_STACK}")
    configs = root / ".mim" / "configs"
    relative = relative if relative.endswith(".py") else f"{relative}.py"
    path = configs / relative
    if not path.is_file():
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
    return _declared(parsed) if parsed else None


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


def _declared(node: ast.ClassDef) -> DatasetInfo:
    inherited = _PLAIN_DATASET
    for base in node.bases:
        if isinstance(base, ast.Name):
            inherited = dataset_info(base.id) or inherited
    meta = _metainfo(node)
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


def _metainfo(node: ast.ClassDef) -> dict[str, Any]:
    for statement in node.body:
        targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
        if any(isinstance(t, ast.Name) and t.id == "METAINFO" for t in targets):
            value = literal(statement.value)  # type: ignore[attr-defined]
            return value if isinstance(value, dict) else {}
    return {}


def _init_defaults(node: ast.ClassDef) -> Iterator[tuple[str, Any]]:
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            names = [a.arg for a in statement.args.args]
            values = statement.args.defaults
            for name, value in zip(names[len(names) - len(values) :], values):
                if isinstance(value, ast.Constant):
                    yield name, value.value


@cache
def class_weight_crash_on_ignored() -> bool:
    """Whether the host's ``CrossEntropyLoss`` dies of class weights and one ignored pixel.

    mmsegmentation 1.2.2 indexes the weights with the raw label (mmsegmentation #3568, #3574 …).
    """
    root = package_path()
    source = root / "models" / "losses" / "cross_entropy_loss.py" if root else None
    if source is None or not source.is_file():
        return False
    return "class_weight[cls] for cls in label" in source.read_text(encoding="utf-8")

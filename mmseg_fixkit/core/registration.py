"""Makes the runtime parts known to MMEngine by name, without importing MMEngine or torch.

``custom_imports = dict(imports=['mmseg_fixkit'])`` must be enough to use every part, yet
``import mmseg_fixkit`` must stay light and may come before MMEngine's own import. So the parts
are entered into MMEngine's root registries as lazy parts, as soon as those registries exist; a
lazy part imports the real class when the first object is built. Children of the root registries
(``mmseg``, ``mmdet``) find them there.

``wrapt.when_imported`` would do the waiting, but costs 60 ms of every start; the base classes of
``importlib.abc`` cost 15 ms and add nothing to the protocol.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Callable, Optional

_REGISTRIES = "mmengine.registry"
_SAFE_LOAD = "mmseg_fixkit.models.safe_load"

#: Registry of ``mmengine.registry`` -> part -> the module that defines it. The only list of parts.
PARTS: dict[str, dict[str, str]] = {
    "HOOKS": {
        "ClassCountHook": "mmseg_fixkit.hooks.class_count",
        "HeadAdaptHook": "mmseg_fixkit.hooks.head_adapt",
        "LossSanityHook": "mmseg_fixkit.hooks.loss_sanity",
    },
    "MODELS": {
        "ClassWeightedCrossEntropyLoss": "mmseg_fixkit.models.losses",
        "OneChannelLoss": "mmseg_fixkit.models.losses",
        "MultiLabelLoss": "mmseg_fixkit.models.multilabel_loss",
        "MultiLabelEncoderDecoder": "mmseg_fixkit.models.segmentors",
        "MultiLabelCascadeEncoderDecoder": "mmseg_fixkit.models.segmentors",
        "MultiLabelTTAModel": "mmseg_fixkit.models.segmentors",
    },
    "METRICS": {
        "MultiLabelIoUMetric": "mmseg_fixkit.models.metrics",
    },
    "VISUALIZERS": {
        "MultiLabelLocalVisualizer": "mmseg_fixkit.models.visualizer",
    },
    "TRANSFORMS": {
        "AssertLabelBounds": "mmseg_fixkit.transforms.assert_label_bounds",
        "RemapLabels": "mmseg_fixkit.transforms.remap_labels",
        "LoadMultiLabelAnnotations": "mmseg_fixkit.transforms.load_multilabel",
        "AddMultiLabelAuxiliaryCategory": "mmseg_fixkit.transforms.multilabel",
        "PackMultiLabelInputs": "mmseg_fixkit.transforms.multilabel",
        "MultiLabelRandomFlip": "mmseg_fixkit.transforms.multilabel",
        "MultiLabelRandomRotFlip": "mmseg_fixkit.transforms.multilabel",
    },
}


def lazy_part(name: str, module: str) -> Callable[..., Any]:
    """Return what a registry holds until the class ``name`` of ``module`` is built.

    A function: registries of MMEngine before 0.8 take classes and functions only. They build what
    has ``get_instance`` (visualizers) by it, but cannot see that of a class not yet imported.
    """

    def build(*args: Any, **kwargs: Any) -> Any:
        # Torch is let read what MMEngine writes, which most runs load.
        importlib.import_module(_SAFE_LOAD).allow_checkpoints()
        part = getattr(importlib.import_module(module), name)
        return getattr(part, "get_instance", part)(*args, **kwargs)

    build.__name__ = build.__qualname__ = name
    build.__module__ = module
    return build


def register() -> None:
    """Enter the parts now if MMEngine's registries exist, else as soon as they do."""
    registries = sys.modules.get(_REGISTRIES)
    if registries is not None and hasattr(registries, "TRANSFORMS"):
        _enter(registries)
    elif not any(isinstance(finder, RegistryImportHook) for finder in sys.meta_path):
        sys.meta_path.insert(0, RegistryImportHook())


def _enter(registries: ModuleType) -> None:
    for registry_name, parts in PARTS.items():
        registry = getattr(registries, registry_name)
        for name, module in parts.items():
            if name not in registry.module_dict:
                registry.register_module(name=name, module=lazy_part(name, module))


class RegistryImportHook:
    """Sees the import of MMEngine's registries once, and steps aside."""

    def find_spec(
        self, fullname: str, path: Optional[Sequence[str]], target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        """Wrap the loader of MMEngine's registries; say nothing of other modules."""
        if fullname != _REGISTRIES:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _EnteringLoader(spec.loader)  # type: ignore[assignment]
        return spec


class _EnteringLoader:
    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> Optional[ModuleType]:
        created: Optional[ModuleType] = self._loader.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        _enter(module)

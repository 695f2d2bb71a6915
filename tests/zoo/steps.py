"""What is done with one config of the zoo."""

from __future__ import annotations

import importlib.util
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Optional

from mmseg_fixkit import FixkitError, patch
from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.load import load
from mmseg_fixkit.config.nodes import Dataset
from mmseg_fixkit.config.tree import differences, plain, without_key
from mmseg_fixkit.core.diagnostics import format_key
from tests.helpers.runs import run_portable
from tests.zoo.build import build_shapes
from tests.zoo.configs import ROOT, head_types, lacks
from tests.zoo.laws import strays
from tests.zoo.modes import COUNTS, MODES, Mode, Written, read
from tests.zoo.tensors import Tensors, compare, wrong_counts

#: Dataset types and pipeline steps whose constructor needs a package of its own.
PART_NEEDS = {
    "DSDLSegDataset": "dsdl",
    "Albu": "albumentations",
    "LoadSingleRSImageFromFile": "osgeo",
    "LoadMultipleRSImageFromFile": "osgeo",
}


@dataclass
class Result:
    """What came of one config.

    Args:
        config: ``method/file.py``.
        heads: see :func:`tests.zoo.configs.head_types`.
        refused: why it is none of ours.
        needs: the package without which its model cannot be built here.
        device: where shapes were taken from: ``meta`` or ``cpu``.
        written: mode -> how many patches were written and read back.
        unsaid: mode -> why a patch cannot be written that way.
        built: how many different patched models the host built.
        datasets: how many datasets it built.
        tensors: how many tensors were compared.
        class_sized: how many of them follow the classes.
        problems: what is wrong.
    """

    config: str
    heads: str = ""
    refused: str = ""
    needs: str = ""
    device: str = ""
    written: dict[str, int] = field(default_factory=dict)
    unsaid: dict[str, str] = field(default_factory=dict)
    built: int = 0
    datasets: int = 0
    tensors: int = 0
    class_sized: int = 0
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def missing(self, modes: tuple[Mode, ...]) -> tuple[Mode, ...]:
        """Return those that it does not tell of."""
        told = {*self.written, *self.unsaid}
        return () if self.refused else tuple(mode for mode in modes if mode.name not in told)

    def plus(self, other: Result) -> Result:
        """Return what came of the config in the modes of both."""
        return replace(
            other,
            written={**self.written, **other.written},
            unsaid={**self.unsaid, **other.unsaid},
            built=self.built + other.built,
            datasets=self.datasets + other.datasets,
            tensors=self.tensors + other.tensors,
            class_sized=self.class_sized + other.class_sized,
        )


def run(config: str, counts: tuple[int, ...] = COUNTS, modes: tuple[Mode, ...] = MODES) -> Result:
    """Take a config the whole way; whatever goes wrong becomes a problem of the result."""
    result = Result(config)
    try:
        _run(result, ROOT / config, counts, modes)
    except Exception:  # one broken config does not stop the others
        result.problems.append(traceback.format_exc(limit=-3))
    return result


def _run(result: Result, path: Path, counts: tuple[int, ...], modes: tuple[Mode, ...]) -> None:
    try:
        document = load(path)
    except FixkitError as error:
        result.refused = str(error).replace(str(path), path.name)
        return
    model = document.tree["model"]
    result.heads, result.needs = head_types(model), lacks(result.config, model)
    shop = None if result.needs else _Shop(result, read(path))
    with tempfile.TemporaryDirectory() as folder:
        for mode in modes:
            for count in mode.of(counts):
                written = mode.write(path, count, Path(folder))
                problems = _wrong(result, mode, written, document, shop)
                result.problems += [f"{mode.name}, {count}: {text}" for text in problems]


class _Shop:
    """Builds models, each once: another way of writing often gives the same one."""

    def __init__(self, result: Result, config: Any) -> None:
        self._result = result
        self._known: set[str] = set()
        self._before = self._build(config)

    def _build(self, config: Any) -> Tensors:
        model, self._result.device = build_shapes(run_portable(config).model)
        return Tensors.of(model)

    def wrong(self, config: Any, classes: int) -> Iterator[str]:
        """Build what ``config`` says and compare it with the model of the unpatched config."""
        text = repr(plain(config.model))
        if text in self._known:
            return
        self._known.add(text)
        after = self._build(config)
        compared = compare(self._before, after, classes)
        self._result.built += 1
        self._result.tensors += compared.compared
        self._result.class_sized += compared.class_sized
        yield from compared.problems
        yield from wrong_counts(self._before, after, classes)


def _wrong(
    result: Result, mode: Mode, written: Written, document: ConfigDocument, shop: Optional[_Shop]
) -> Iterator[str]:
    if written.config is None:
        result.unsaid[mode.name] = written.said
        return
    result.written[mode.name] = result.written.get(mode.name, 0) + 1
    yield from wrong_plan(written, document)
    yield from _wrong_datasets(result, written)
    if shop is not None:
        yield from shop.wrong(written.config, written.patch.labels.num_classes)


def wrong_plan(written: Written, document: ConfigDocument) -> Iterator[str]:
    """Yield what is wrong with the config that was written, without building anything.

    Args:
        written: the patch of ``document`` and what MMEngine read.
        document: the config as it is.
    """
    plan, names = written.patch.plan, written.patch.labels.classes
    tree = without_key(plain(written.config._cfg_dict), "_scope_")
    for finding in plan.remaining:
        yield f"left: {finding.code} {finding.message}"
    for key in strays(plan):
        yield f"{key} changes, but no edit names it"
    for name in plan.after.keys() - written.variables:
        value = plan.after[name]
        for key, expected, found in differences(value, tree.get(name), (name,)):
            yield f"{format_key(key)} is {found!r}, but the plan has {expected!r}"
    after = ConfigDocument("", tree)
    for dataset in after.datasets:
        if tuple(dataset.classes) != names:
            yield f"{format_key(dataset.key)} has the classes {dataset.classes}"
    others = [[h.config for h in d.heads if not h.follows_labels] for d in (document, after)]
    if others[0] != others[1]:
        yield "a head that does not follow the labels has changed"
    again = patch(written.config, written.patch.labels, guards=written.guards).plan
    yield from (f"again: {d.code} {d.message}" for d in (*again.applied, *again.remaining))


def _wrong_datasets(result: Result, written: Written) -> Iterator[str]:
    """Let the host build each dataset, without its files."""
    names = written.patch.labels.classes
    for dataset in ConfigDocument("", plain(written.config._cfg_dict)).datasets:
        if not _can_be_built(dataset.type):
            continue
        meta = _built_metainfo(dataset)
        result.datasets += 1
        if tuple(meta["classes"]) != names or len(meta["palette"]) != len(names):
            yield f"{format_key(dataset.key)} is built with {meta['classes']} and {meta['palette']}"


def _built_metainfo(dataset: Dataset) -> Any:
    import mmseg.datasets  # noqa: F401 - registers
    from mmengine.registry import DefaultScope, init_default_scope
    from mmseg.registry import DATASETS

    import mmseg_fixkit.runtime  # noqa: F401 - registers

    if DefaultScope.get_current_instance() is None:
        init_default_scope("mmseg")
    steps = [step for _, step in dataset.transforms if _can_be_built(step["type"])]
    return DATASETS.build({**dataset.config, "pipeline": steps, "lazy_init": True}).metainfo


def _can_be_built(kind: str) -> bool:
    package = PART_NEEDS.get(kind)
    return package is None or importlib.util.find_spec(package) is not None

"""What may lose a file, run code or change what is learned happens only where it is asked for."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
import torch

from mmseg_fixkit import FixkitError, patch
from mmseg_fixkit.apis.adapt import adapt_file
from mmseg_fixkit.apis.paddleseg import patch_paddleseg
from tests.helpers.runs import run_head, run_model
from tests.zoo.build import build

ASKED_FOR = {"overwrite", "trust", "unsafe", "missing_ok"}


def functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    names = [
        module.name
        for part in ("apis", "checkpoint", "models")
        for module in pkgutil.walk_packages(
            importlib.import_module(f"mmseg_fixkit.{part}").__path__, f"mmseg_fixkit.{part}."
        )
    ]
    for name in names:
        module = importlib.import_module(name)
        for value in vars(module).values():
            if getattr(value, "__module__", "") != name:
                continue
            if inspect.isfunction(value):
                yield f"{name}.{value.__name__}", value
            elif inspect.isclass(value):
                own = inspect.getmembers(value, inspect.isfunction)
                yield from ((f"{name}.{value.__name__}.{n}", f) for n, f in own)


def test_no_function_does_so_by_default() -> None:
    wrong, seen = [], set()
    for name, function in functions():
        for each in inspect.signature(function).parameters.values():
            if each.name in ASKED_FOR and each.default is not inspect.Parameter.empty:
                seen.add(each.name)
                wrong += [] if each.default is False else [f"{name}({each})"]
    assert wrong == []
    assert seen == ASKED_FOR


MODEL = "model = dict(type='EncoderDecoder', decode_head=dict(type='FCNHead', num_classes=3))\n"
CLASSES = (
    "train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict("
    "classes=('a', 'b'))))\n"
)


def write_patch(out: Path, **options: Any) -> None:
    Path("cfg.py").write_text(MODEL + CLASSES)
    patch("cfg.py").write(out, **options)


def write_flat(out: Path, **options: Any) -> None:
    Path("cfg.py").write_text(MODEL + CLASSES)
    patch("cfg.py").write(out, "flat", **options)


def write_paddle(out: Path, **options: Any) -> None:
    Path("cfg.yml").write_text("train_dataset: {type: Dataset, num_classes: 2}\nmodel: {type: A}\n")
    patch_paddleseg("cfg.yml", 4).write(out, **options)


def write_adapted(out: Path, **options: Any) -> None:
    model = run_model(run_head(2))
    torch.save({"state_dict": build(model).state_dict()}, "old.pth")
    Path("cfg.py").write_text(f"model = {model!r}\n{CLASSES}")
    adapt_file("old.pth", "cfg.py", old_classes=("b", "a")).write(out, **options)


@pytest.mark.parametrize("write", [write_patch, write_flat, write_paddle, write_adapted])
def test_a_file_that_is_there_stays(
    write: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = {"write_adapted": "o.pth", "write_paddle": "o.yml"}.get(write.__name__, "o.py")
    Path(out).write_bytes(b"of somebody")
    with pytest.raises(FixkitError, match=r"overwrite|exists|is there"):
        write(Path(out))
    assert Path(out).read_bytes() == b"of somebody"
    write(Path(out), overwrite=True)
    assert Path(out).read_bytes() != b"of somebody"

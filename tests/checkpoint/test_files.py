"""Checkpoint files: what is opened, what is refused with which sentence, what is written."""

from __future__ import annotations

import builtins
import gzip
import importlib
import io
import os
import pickle
import re
import subprocess
import sys
import tarfile
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import mmseg_fixkit
from mmseg_fixkit.checkpoint.contents import Checkpoint
from mmseg_fixkit.checkpoint.files import (
    read_checkpoint,
    without_unused_storage,
    write_checkpoint,
)
from mmseg_fixkit.checkpoint.safe_globals import ALLOWED
from mmseg_fixkit.core.compat import has, untyped_storage
from mmseg_fixkit.core.errors import FixkitError
from tests.helpers.paths import ROOT


def weights() -> dict[str, Any]:
    torch.manual_seed(0)
    return {
        "backbone.conv.weight": torch.randn(40, 30),
        "decode_head.conv_seg.bias": torch.randn(5),
    }


def saved(value: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


GOOD = saved({"state_dict": weights(), "meta": {}})
LEGACY = saved(weights(), _use_new_zipfile_serialization=False)


class Asks:
    """Asks for ``function(*args)`` when it is unpickled."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.asked = function, args

    def __reduce__(self) -> Any:
        return self.asked


def zipped(files: dict[str, bytes], encrypted: bool = False) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    data = bytearray(buffer.getvalue())
    if encrypted:  # the flag in both headers, all that a reader sees first
        data[6] |= 1
        data[data.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def tarred(*names: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    return buffer.getvalue()


def picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, kind)
    return buffer.getvalue()


def numpy_file(save: Callable[..., Any]) -> bytes:
    buffer = io.BytesIO()
    save(buffer, np.zeros(3))
    return buffer.getvalue()


def script() -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), buffer)
    return buffer.getvalue()


def safetensors_bytes() -> bytes:
    torch_part = pytest.importorskip("safetensors.torch")
    data: bytes = torch_part.save(weights())
    return data


PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 1234\n"
#: Content of a file -> what the sentence about it says.
FAULTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty: a download or a save was cut off; fetch it again"),
    "half": (GOOD[: len(GOOD) // 2], "is cut off or damaged: it begins as a checkpoint, but"),
    "without its end": (GOOD[:-10], "table of contents, which stands at the end, is not there"),
    "start only": (b"PK\x03\x04", "is cut off or damaged"),
    "half, old form": (LEGACY[:-100], "is cut off or damaged: it ends too early"),
    "start, old form": (LEGACY[:60], "is cut off or damaged: it ends too early"),
    "web page": (PAGE, "is a web page with the title 'Sign in', not a checkpoint"),
    "Git LFS": (POINTER, "is a Git LFS pointer: the file itself of 1234 bytes was not fetched"),
    "text": (b"epoch 3: mIoU 40\n", "is a text, not a checkpoint (it begins 'epoch 3: mIoU 40')"),
    "spaces": (b"  \n", "is a text, not a checkpoint (it begins '')"),
    "German": ("größer ".encode() * 900, "is a text, not a checkpoint (it begins 'größer"),
    "PNG": (picture("PNG"), "is a PNG image, not a checkpoint"),
    "JPEG": (picture("JPEG"), "is a JPEG image, not a checkpoint"),
    "gzip": (gzip.compress(GOOD), "is a gzip archive, not a checkpoint; unpack it"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "is an HDF5 file, as Keras writes weights"),
    "npy": (numpy_file(np.save), "is a NumPy array, not a checkpoint"),
    "npz": (numpy_file(np.savez), "is a NumPy archive (.npz), not a checkpoint"),
    "zip around": (zipped({"a/iter_1.pth": GOOD}), "is a zip archive around a/iter_1.pth; unpack"),
    "other zip": (zipped({"a.txt": b""}), "that torch.save did not write (it holds a.txt)"),
    "empty zip": (zipped({}), "is no checkpoint"),
    "encrypted": (zipped({"c.pth": GOOD}, encrypted=True), "is an encrypted zip archive; with its"),
    "TorchScript": (script(), "is a TorchScript program (of torch.jit.save), which holds code"),
    "tar": (tarred("iter_1.pth"), "is a tar archive; unpack it"),
    "oldest form": (
        tarred("storages", "tensors", "pickle"),
        "is of the tar form of torch 0.1",
    ),
    "pickle": (pickle.dumps({"model": 1}, 4), "is a pickle that torch.save did not write"),
    "bytes": (bytes(3000), "is no checkpoint: it begins with the bytes 00 00 00 00 00 00 00 00"),
    "one byte": (b"\x80", "is no checkpoint: it begins with the bytes 80"),
    "protocol 0": (
        saved(weights(), pickle_protocol=0),
        "is cut off or damaged: it is not pickled as torch.save pickles",
    ),
    "no tensor": (saved({"epoch": 3, "optimizer": {}}), "holds no weights: there is no tensor"),
    "a list": (saved([torch.zeros(1)]), "holds no weights"),
    "a tensor": (saved(torch.zeros(1)), "holds no weights"),
}


def refused(path: Any, **options: Any) -> str:
    with pytest.raises(FixkitError) as caught:
        read_checkpoint(path, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert "Traceback" not in text
    return text


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_no_checkpoint_is_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    content, sentence = FAULTS[name]
    path = tmp_path / "c.pth"
    path.write_bytes(content)
    text = refused(path)
    assert text.startswith(f"{path} ")
    assert sentence in text


def test_a_place_without_a_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    assert refused(tmp_path / "x.pth").endswith("x.pth cannot be read: No such file or directory")
    assert refused("").startswith("no checkpoint was named")
    address = "https://example.org/a.pth"
    assert (
        refused(address)
        == f"{address} is an address, not a file on this machine; download it first"
    )
    assert refused(tmp_path).endswith("is a folder; give the checkpoint in it")
    (tmp_path / "iter_2.pth").write_bytes(GOOD)
    assert refused(tmp_path).endswith("give the checkpoint in it, such as iter_2.pth")
    os.mkfifo(tmp_path / "pipe")
    assert "is no ordinary file" in refused(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    assert "cannot be read: Too many levels" in refused(tmp_path / "loop")


def test_a_file_of_somebody_else_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "c.pth"
    path.write_bytes(GOOD)
    path.chmod(0)
    user = os.geteuid()
    os.seteuid(user or 65534)  # root may read everything
    try:
        assert refused(path).endswith("cannot be read: Permission denied")
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("end", [-50, 60])
def test_a_safetensors_file_that_is_cut_off_is_refused(end: int, tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    path.write_bytes(safetensors_bytes()[:end])
    assert "is cut off" in refused(path)


def test_a_wrong_name_is_told_from_the_content(tmp_path: Path) -> None:
    wrong = tmp_path / "c.safetensors"
    wrong.write_bytes(GOOD)
    assert "but torch.save wrote it; name it .pth" in refused(wrong)
    other = tmp_path / "c.pth"
    other.write_bytes(safetensors_bytes())
    assert set(read_checkpoint(other).state_dict) == set(weights())


# --- what a file may ask for ---------------------------------------------------------------------


ASKS: dict[str, tuple[Any, str]] = {
    "a shell": (Asks(os.system, "touch {0}"), "posix.system"),
    "eval": (Asks(eval, "open({0!r}, 'w')"), "eval"),
    "open": (Asks(open, "{0}", "w"), "open"),
    "getattr": (Asks(getattr, nn.Linear, "forward"), "torch.nn.modules.linear.Linear"),
    "getattr of an array": (Asks(getattr, np.ndarray, "tofile"), "ndarray.tofile"),
    "a whole model": (nn.Sequential(nn.Linear(2, 2)), "torch.nn.modules.container.Sequential"),
    "objects in an array": (np.array([Path("a")], dtype=object), "numpy.dtype('O8')"),
    "a path": (Path("a"), "pathlib"),
}


@pytest.mark.parametrize("old_form", [False, True])
@pytest.mark.parametrize("name", ASKS)
def test_a_file_that_asks_for_more_is_refused_by_its_name(
    name: str, old_form: bool, tmp_path: Path
) -> None:
    value, named = ASKS[name]
    mark = tmp_path / "ran"
    if isinstance(value, Asks):
        function, args = value.asked
        value = Asks(function, *(a.format(mark) if isinstance(a, str) else a for a in args))
    path = tmp_path / "c.pth"
    whole = {"state_dict": weights(), "extra": value}
    torch.save(whole, path, _use_new_zipfile_serialization=not old_form)
    text = refused(path)
    assert re.search(rf"it asks for [^,]*{re.escape(named)}", text)
    assert "opening it would run that" in text
    assert "--trust-checkpoint" in text
    assert not mark.exists()


def test_everything_it_asks_for_is_named(tmp_path: Path) -> None:
    whole = [weights(), Asks(os.system, ""), Asks(eval, ""), Asks(builtins.open, "")]
    torch.save(whole, tmp_path / "c.pth")
    text = refused(tmp_path / "c.pth")
    assert "it asks for eval, " in text
    assert ", posix.system, which" in text


def test_a_trusted_file_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "c.pth"
    mark = tmp_path / "ran"
    torch.save({"model": nn.Linear(2, 3), "x": Asks(os.mkdir, str(mark))}, path)
    found = read_checkpoint(path, trust=True)
    assert found.state_dict["weight"].shape == (3, 2)
    assert (found.wrapped, found.dropped) == ("model", ("x",))
    assert mark.is_dir()
    text = refused(path, trust=True)  # the folder is there now
    assert text == f"{path} is cut off or damaged: [Errno 17] File exists: '{mark}'"


def test_trust_does_not_make_a_text_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "c.pth").write_bytes(PAGE)
    assert "is a web page" in refused(tmp_path / "c.pth", trust=True)


def history() -> Any:
    from mmengine.logging import HistoryBuffer

    return HistoryBuffer([0.5, 0.4], [1, 1])


def one_cycle() -> Any:
    from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

    return OneCycleParamScheduler._annealing_cos


def version_0() -> dict[str, Any]:
    meta = {
        "CLASSES": ("road", "car"),
        "PALETTE": [[1, 2, 3], [4, 5, 6]],
        "mmseg_version": "0.30.0",
        "config": "model = dict()",
        "time": "Mon Nov  2",
        "hook_msgs": {"best_score": np.float64(0.5), "last_ckpt": "a.pth"},
    }
    return {"meta": meta, "state_dict": weights(), "optimizer": {"param_groups": []}}


#: What real checkpoints hold beside their weights.
HELD: dict[str, Callable[[], Any]] = {
    "logs": lambda: {"log_scalars": {"train/loss": history()}},
    "one cycle": lambda: [{"anneal_func": one_cycle(), "last_step": 3}],
    "best score": lambda: {"best_score": np.float32(0.5), "eta": np.float64(3)},
    "learning rates": lambda: {"lr": np.float64(0.1), "step": np.int64(3), "fused": np.bool_(True)},
    "palette": lambda: np.array([[1, 2, 3]], dtype=np.uint8),
    "counts": lambda: np.array([1, 1], dtype=np.int32),
    "scaler": lambda: {"scale": 65536.0, "growth_factor": 2.0, "_growth_tracker": 0},
    "optimizer": lambda: torch.optim.AdamW([torch.zeros(2)]).state_dict(),
    "milestones": lambda: __import__("collections").Counter([3, 5]),
}


@pytest.mark.parametrize("numpy_1", [False, True])
@pytest.mark.parametrize("name", HELD)
def test_what_real_checkpoints_hold_is_opened(name: str, numpy_1: bool, tmp_path: Path) -> None:
    content = saved({"state_dict": weights(), "meta": {"x": HELD[name]()}})
    if numpy_1:  # the same name, but for its length; stored, so that it stands in the file
        content = repacked(content, b"numpy._core.multiarray", b"numpy.core.multiarray")
    path = tmp_path / "c.pth"
    path.write_bytes(content)
    assert list(read_checkpoint(path).state_dict) == list(weights())


def repacked(content: bytes, old: bytes, new: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return zipped({n: archive.read(n).replace(old, new) for n in archive.namelist()})


@pytest.mark.skipif(
    not has("add_safe_globals with names"), reason="this torch has no list of names"
)
def test_an_allow_list_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "c.pth").write_bytes(saved({"state_dict": weights(), "m": history()}))
    mine = [history().__class__, np.ndarray, (np.dtype, "numpy.dtype"), getattr]
    others = torch.serialization.get_safe_globals()
    try:
        torch.serialization.add_safe_globals(mine)
        before = set(torch.serialization.get_safe_globals())
        assert len(read_checkpoint(tmp_path / "c.pth").state_dict) == 2
        assert set(torch.serialization.get_safe_globals()) == before
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(others)


def test_values_of_meta_are_read(tmp_path: Path) -> None:
    torch.save(version_0(), tmp_path / "c.pth")
    found = read_checkpoint(tmp_path / "c.pth")
    assert found.meta == version_0()["meta"]
    assert found.dropped == ("optimizer",)
    assert found.taken() == f"{tmp_path / 'c.pth'}: 2 tensors; not taken: optimizer"


# --- where the weights lie -----------------------------------------------------------------------


def prefixed(prefix: str) -> dict[str, Any]:
    return {prefix + name: value for name, value in weights().items()}


#: What a file holds -> wrapped, prefix, dropped.
LAYOUTS: dict[str, tuple[Callable[[], Any], str, str, tuple[str, ...]]] = {
    "bare": (weights, "", "", ()),
    "mmengine": (lambda: {"meta": {}, "state_dict": weights()}, "state_dict", "", ()),
    "swin": (lambda: {"model": weights(), "epoch": 3}, "model", "", ("epoch",)),
    "ddp": (lambda: {"state_dict": prefixed("module.")}, "state_dict", "module.", ()),
    "ddp bare": (lambda: prefixed("module."), "", "module.", ()),
    "compiled": (lambda: prefixed("module._orig_mod."), "", "module._orig_mod.", ()),
    "lightning": (
        lambda: {
            "state_dict": {**prefixed("model."), "criterion.weight": torch.zeros(2)},
            "pytorch-lightning_version": "2.1",
            "epoch": 1,
        },
        "state_dict",
        "model.",
        ("pytorch-lightning_version", "epoch"),
    ),
    "lightning net": (
        lambda: {"state_dict": prefixed("net."), "pytorch-lightning_version": "2.1"},
        "state_dict",
        "net.",
        ("pytorch-lightning_version",),
    ),
    "averaged": (
        lambda: {"params": weights(), "params_ema": weights()},
        "params_ema",
        "",
        ("params",),
    ),
    "dino": (
        lambda: {"student": prefixed("module."), "teacher": prefixed("module."), "epoch": 1},
        "teacher",
        "module.",
        ("student", "epoch"),
    ),
    "state": (lambda: {"model_state": weights()}, "model_state", "", ()),
    "net": (lambda: {"net": weights(), "acc": 90.5}, "net", "", ("acc",)),
    "nested": (
        lambda: {"model": {"state_dict": weights(), "args": 1}},
        "model.state_dict",
        "",
        (),
    ),
    "no tensor within": (
        lambda: {"state_dict": {**weights(), "decode_head._extra_state": {"a": 1}}},
        "state_dict",
        "",
        ("decode_head._extra_state (no tensor)",),
    ),
    "optimizer first": (
        lambda: {"optimizer": {"state": {0: {"exp_avg": torch.zeros(1)}}}, "net": weights()},
        "net",
        "",
        ("optimizer",),
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_weights_are_found_wherever_programs_keep_them(name: str, tmp_path: Path) -> None:
    made, wrapped, prefix, dropped = LAYOUTS[name]
    torch.save(made(), tmp_path / "c.pth")
    found = read_checkpoint(tmp_path / "c.pth")
    assert (found.wrapped, found.prefix, found.dropped) == (wrapped, prefix, dropped)
    plain = found.unprefixed()
    assert all(torch.equal(plain[n], v) for n, v in weights().items())
    shown = found.taken()
    assert all(name in shown for name in dropped)
    if wrapped not in ("", "state_dict"):
        assert f"from '{wrapped}'" in shown


def test_the_averaged_weights_are_kept_apart(tmp_path: Path) -> None:
    ema = {**prefixed("module."), "steps": torch.tensor(3)}
    torch.save({"state_dict": weights(), "ema_state_dict": ema, "meta": {}}, tmp_path / "c.pth")
    found = read_checkpoint(tmp_path / "c.pth")
    assert found.ema is not None
    assert set(found.ema) == set(ema)
    assert found.dropped == ()


@pytest.mark.parametrize("old_form", [False, True])
@pytest.mark.parametrize("mmap", [False, True])
def test_old_and_new_forms_are_read_alike(old_form: bool, mmap: bool, tmp_path: Path) -> None:
    path = tmp_path / "c.pth"
    torch.save(weights(), path, _use_new_zipfile_serialization=not old_form)
    before = path.read_bytes()
    state = read_checkpoint(path, mmap=mmap).state_dict
    assert all(torch.equal(state[n], v) for n, v in weights().items())
    for tensor in state.values():
        tensor.zero_()
    assert path.read_bytes() == before


def test_a_file_that_was_compressed_afterwards_is_read_right(tmp_path: Path) -> None:
    path = tmp_path / "c.pth"
    with (
        zipfile.ZipFile(io.BytesIO(GOOD)) as good,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name in good.namelist():
            archive.writestr(name, good.read(name))
    state = read_checkpoint(path).state_dict
    assert all(torch.equal(state[n], v) for n, v in weights().items())


def test_the_public_name_needs_no_torch_to_import() -> None:
    code = (
        "import sys; from mmseg_fixkit import load_checkpoint as l; print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout == "False\n"
    assert mmseg_fixkit.load_checkpoint.__module__ == "mmseg_fixkit.checkpoint.files"


# --- writing -------------------------------------------------------------------------------------


def tensors() -> dict[str, Any]:
    """Return tensors of each awkward kind."""
    torch.manual_seed(0)
    big, small = torch.randn(1000, 500), torch.randn(6, 4)
    return {
        "own": small,
        "again": small,
        "turned": small.t(),
        "rows": big[10:12],
        "next rows": big[11:13],
        "columns": big[:, :2],
        "columns again": big[:, :2],
        "number": big[5, 5],
        "nothing": big[:0],
        "repeated": torch.randn(3, 1).expand(3, 5),
        "channels last": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "half": torch.randn(9).half()[3:],
        "brain": torch.randn(9, dtype=torch.bfloat16)[1:],
        "bytes": torch.arange(100, dtype=torch.int8)[3:9],
        "conjugate": torch.randn(3, dtype=torch.cfloat).conj(),
        "flag": torch.tensor(True),
        "parameter": nn.Parameter(torch.randn(2)),
    }


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("mmap", [False, True])
def test_every_kind_of_tensor_survives(suffix: str, mmap: bool, tmp_path: Path) -> None:
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    state, meta = tensors(), {"dataset_meta": {"classes": ["a", "b"], "label_map": {0: 1, 1: 255}}}
    write_checkpoint(tmp_path / f"1{suffix}", state, meta)
    first = read_checkpoint(tmp_path / f"1{suffix}", mmap=mmap)
    write_checkpoint(tmp_path / f"2{suffix}", first.state_dict, first.meta)
    found = read_checkpoint(tmp_path / f"2{suffix}")
    assert set(found.state_dict) == set(state)
    for name, value in state.items():
        assert torch.equal(found.state_dict[name], value), name
        assert found.state_dict[name].dtype == value.dtype
    assert found.meta == meta
    # 2 MB lie below the views, of which they use a hundredth.
    assert (tmp_path / f"2{suffix}").stat().st_size < 80_000


def test_shared_tensors_are_still_shared_and_strides_kept(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "c.pth", tensors(), {})
    state = read_checkpoint(tmp_path / "c.pth").state_dict
    for names in (("own", "again", "turned"), ("columns", "columns again")):
        assert len({state[name].data_ptr() for name in names}) == 1
    for name in ("turned", "channels last"):
        assert state[name].stride() == tensors()[name].stride()


def test_only_parts_of_a_larger_storage_are_copied() -> None:
    fused, table = torch.randn(30), torch.randn(20)
    state = {"whole": torch.randn(10), "q": fused[:10], "kv": fused[10:], "part": table[4:12]}
    made = without_unused_storage(state)
    kept = {name for name in state if made[name].data_ptr() == state[name].data_ptr()}
    assert kept == {"whole", "q", "kv"}
    assert torch.equal(made["part"], state["part"])
    assert untyped_storage(made["part"]).nbytes() == 32


def test_versions_of_layers_stay_with_the_weights(tmp_path: Path) -> None:
    state = nn.Sequential(nn.BatchNorm2d(2)).state_dict()
    write_checkpoint(tmp_path / "c.pth", state, {})
    found = read_checkpoint(tmp_path / "c.pth").state_dict
    assert isinstance(found, OrderedDict)
    assert found._metadata == state._metadata
    assert found._metadata["0"] == {"version": 2}


def test_mmengine_loads_what_is_written(tmp_path: Path) -> None:
    from mmengine.runner import CheckpointLoader

    meta = {"dataset_meta": {"classes": ("a", "b")}, "epoch": 3}
    write_checkpoint(tmp_path / "c.pth", weights(), meta, ema=prefixed("module."))
    found = CheckpointLoader.load_checkpoint(str(tmp_path / "c.pth"), "cpu")
    assert list(found) == ["meta", "state_dict", "ema_state_dict"]
    assert found["meta"] == meta
    plain = torch.load(tmp_path / "c.pth", weights_only=True)  # no allow-list
    assert list(plain["state_dict"]) == list(weights())


def test_meta_in_safetensors_is_json_that_anyone_can_read(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors")
    meta = {
        "CLASSES": ("a", "b"),
        "palette": np.array([[1, 2, 3]], dtype=np.uint8),
        "score": np.float32(0.5),
        "at": Path("a"),
        "pairs": {(1, 2): "x"},
    }
    write_checkpoint(tmp_path / "c.safetensors", weights(), meta)
    with safetensors.safe_open(str(tmp_path / "c.safetensors"), framework="pt") as file:
        texts = file.metadata()
    assert texts["format"] == "pt"
    assert '"CLASSES": ["a", "b"]' in texts["meta"]
    assert read_checkpoint(tmp_path / "c.safetensors").meta == {
        "CLASSES": ["a", "b"],
        "palette": [[1, 2, 3]],
        "score": 0.5,
        "at": "a",
        "pairs": {(1, 2): "x"},
    }


@pytest.mark.parametrize("texts", [{"a": "b"}, {"meta": "no JSON"}, None])
def test_safetensors_of_others_are_read(texts: Any, tmp_path: Path) -> None:
    torch_part = pytest.importorskip("safetensors.torch")
    torch_part.save_file(weights(), str(tmp_path / "c.safetensors"), texts)
    found = read_checkpoint(tmp_path / "c.safetensors")
    assert found.meta == (texts or {})
    assert found.wrapped == ""


@pytest.mark.parametrize(
    ("text", "meta"),
    [
        ('{"x": {"__pairs__": 5}}', {"x": {"__pairs__": 5}}),
        ('{"x": {"__pairs__": [[1, 2, 3]]}}', {"x": {"__pairs__": [[1, 2, 3]]}}),
        ('{"x": {"__pairs__": [[[[]], 2]]}}', {"x": {"__pairs__": [[[[]], 2]]}}),
        ('{"x": {"__pairs__": [[{}, 2]]}}', {"x": {"__pairs__": [[{}, 2]]}}),
        ('{"x": {"__pairs__": [[[1], 2], [3, 4]]}}', {"x": {(1,): 2, 3: 4}}),
        ('{"__pairs__": ["ab"]}', {"__pairs__": ["ab"]}),
        ("[" * 100_000, {"meta": "[" * 100_000}),
        ("[" * 100_000 + "]" * 100_000, None),
        ("[" * 500 + "]" * 500, None),
    ],
)
def test_metadata_of_a_wrong_form_is_taken_as_it_is(text: str, meta: Any, tmp_path: Path) -> None:
    torch_part = pytest.importorskip("safetensors.torch")
    path = tmp_path / "c.safetensors"
    torch_part.save_file(weights(), str(path), {"meta": text})
    if meta is not None:
        assert read_checkpoint(path).meta == meta
    else:  # how deep the parser of JSON goes depends on the Python
        told = refused_or_read(path)
        assert told == text or "is nested deeper or holds more than any program writes" in told


def refused_or_read(path: Path) -> Any:
    try:
        return read_checkpoint(path).meta["meta"]
    except FixkitError as error:
        return str(error)


def test_a_list_of_very_many_tensors_is_refused_at_once(tmp_path: Path) -> None:
    entry = b'"%06d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
    header = b"{" + b",".join(entry % number for number in range(300_000)) + b"}"
    path = tmp_path / "c.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    start = time.perf_counter()
    assert "its list of tensors has 17,100,001 bytes" in refused(path)
    assert time.perf_counter() - start < 1


def test_safetensors_has_no_room_for_two_sets_of_weights(tmp_path: Path) -> None:
    with pytest.raises(FixkitError, match=r"has room for one set of weights.* write a \.pth"):
        write_checkpoint(tmp_path / "c.safetensors", weights(), {}, ema=weights())
    assert not list(tmp_path.iterdir())


def test_without_the_package_safetensors_names_it(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['safetensors'] = None\n"
        "from mmseg_fixkit.checkpoint.files import *\n"
        "for call in (read_checkpoint, lambda p: write_checkpoint(p + '.safetensors', {}, {})):\n"
        "    try: call(sys.argv[1])\n"
        "    except ValueError as error: print(type(error).__name__, error)\n"
    )
    path = tmp_path / "c.safetensors"
    path.write_bytes(safetensors_bytes())
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("FixkitError ") for line in lines)
    assert all("pip install safetensors" in line for line in lines)
    assert list(tmp_path.iterdir()) == [path]


def test_an_output_is_never_put_over_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "in.pth"
    path.write_bytes(GOOD)
    (tmp_path / "link.pth").symlink_to(path)
    found = read_checkpoint(path)
    cases: list[tuple[Path, dict[str, Any], str]] = [
        (path, {}, "exists already; give --overwrite"),
        (path, {"overwrite": True, "source": path}, "is the checkpoint that is read"),
        (tmp_path / "link.pth", {"overwrite": True, "source": path}, "is the checkpoint that is"),
        (tmp_path, {"overwrite": True}, "is a folder"),
        (tmp_path / "no" / "out.pth", {}, "there is no folder"),
    ]
    for output, options, sentence in cases:
        with pytest.raises(FixkitError, match=sentence):
            write_checkpoint(output, found.state_dict, {}, **options)
    assert path.read_bytes() == GOOD
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.pth", "link.pth"]


def test_an_output_is_as_readable_as_any_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_checkpoint(tmp_path / "c.pth", weights(), {})
    finally:
        os.umask(before)
    assert (tmp_path / "c.pth").stat().st_mode & 0o777 == 0o640
    (tmp_path / "c.pth").chmod(0o600)
    write_checkpoint(tmp_path / "c.pth", weights(), {}, overwrite=True)
    assert (tmp_path / "c.pth").stat().st_mode & 0o777 == 0o600


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.pth", "b.pth"):
        write_checkpoint(tmp_path / name, tensors(), {"epoch": 1})
    assert (tmp_path / "a.pth").read_bytes() == (tmp_path / "b.pth").read_bytes()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_full_disk_leaves_nothing_behind(suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    code = (
        "import resource, sys, torch\n"
        "from mmseg_fixkit.checkpoint.files import write_checkpoint\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
        "write_checkpoint(sys.argv[1], {'a': torch.zeros(1000, 1000)}, {}, overwrite=True)\n"
    )
    path = tmp_path / f"c{suffix}"
    path.write_bytes(b"as it was")
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    last = done.stderr.splitlines()[-1]
    assert last.endswith(f"FixkitError: {path} cannot be written: File too large in {tmp_path}")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"as it was"


def test_an_interrupted_write_leaves_nothing_behind(tmp_path: Path) -> None:
    class Interrupted(dict[str, Any]):
        def __reduce__(self) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(tmp_path / "c.pth", weights(), {"x": Interrupted()})
    assert not list(tmp_path.iterdir())


# --- what the docs say ---------------------------------------------------------------------------


def test_the_docs_list_the_types_with_their_reasons() -> None:
    text = (ROOT / "docs" / "checkpoint-files.md").read_text()
    rows = re.findall(r"^\| `([\w.]+)` \| (.+) \|$", text, re.M)
    assert dict(rows) == ALLOWED


def test_a_checkpoint_is_a_plain_value() -> None:
    assert Checkpoint(Path("c.pth"), {"a": 1}).taken() == "c.pth: 1 tensor"


def test_a_trusted_file_that_asks_for_what_is_not_installed_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "module_of_theirs.py").write_text("class Thing:\n    pass\n")
    path = tmp_path / "c.pth"
    with monkeypatch.context() as there:
        there.syspath_prepend(tmp_path)
        theirs = importlib.import_module("module_of_theirs")
        torch.save({"state_dict": weights(), "thing": theirs.Thing()}, path)
    monkeypatch.delitem(sys.modules, "module_of_theirs")
    with pytest.raises(FixkitError, match="asks for module_of_theirs, which is not installed"):
        read_checkpoint(path, trust=True)

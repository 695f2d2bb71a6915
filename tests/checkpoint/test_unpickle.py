"""What the reader of pickles builds, held against ``torch.load``, and what it refuses."""

from __future__ import annotations

import io
import pickle
import resource
import struct
import sys
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mmseg_fixkit.checkpoint.archive import read_archive
from mmseg_fixkit.checkpoint.files import read_checkpoint, write_checkpoint
from mmseg_fixkit.checkpoint.safe_globals import PlainArray
from mmseg_fixkit.core.compat import has
from mmseg_fixkit.core.errors import FixkitError

core = getattr(np, "_core", None) or np.core
RECONSTRUCT, SCALAR = core.multiarray._reconstruct, core.multiarray.scalar
WEIGHTS = {"a": torch.ones(4)}


class Asks:
    """Asks for ``function(*args)`` when it is unpickled, and then gives it each of the states."""

    def __init__(self, function: Any, *args: Any, states: tuple[Any, ...] = ()) -> None:
        self.function, self.args, self.states = function, args, states

    def __reduce__(self) -> Any:
        if not self.states:
            return self.function, self.args
        # A state is given to what stands before it, which may have had one already.
        *before, last = self.states
        inner = Asks(self.function, *self.args, states=tuple(before)) if before else None
        return (_Same, (inner,), last) if inner else (self.function, self.args, last)


class _Same:
    """Stands for a value that is there."""


def saved(value: Any, old_form: bool = False, protocol: int = 2) -> bytes:
    buffer = io.BytesIO()
    torch.save(
        value,
        buffer,
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=not old_form,
    )
    return buffer.getvalue()


def with_pickle(pickled: bytes, **files: bytes) -> bytes:
    """Return today's form of torch.save around any pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("c/data.pkl", pickled)
        for name, content in files.items():
            archive.writestr(f"c/{name.replace('__', '/')}", content)
    return buffer.getvalue()


def refused(content: bytes, folder: Path) -> str:
    path = folder / "c.pth"
    path.write_bytes(content)
    with pytest.raises(FixkitError) as caught:
        read_checkpoint(path)
    text = str(caught.value)
    assert text.startswith(f"{path} ")
    return text


# --- arrays, numbers and texts of NumPy ----------------------------------------------------------


def dtype(*args: Any) -> Any:
    return Asks(np.dtype, *args)


def array(*state: Any) -> Any:
    return Asks(RECONSTRUCT, np.ndarray, (0,), b"b", states=(state,))


F8 = dtype("f8", False, True)
OBJECTS = dtype("O", False, True)
#: What a file holds -> what the sentence about it says.
ARRAYS: dict[str, tuple[Any, str]] = {
    "an array of a size": (Asks(np.ndarray, (1000,)), "asks for numpy.ndarray"),
    "an array over bytes": (Asks(np.ndarray, (1,), OBJECTS, b"A" * 8), "numpy.dtype('O')"),
    "an empty array of a size": (
        Asks(RECONSTRUCT, np.ndarray, (4096,), F8),
        "more than an empty array",
    ),
    "another class": (Asks(RECONSTRUCT, np.matrix, (0,), b"b"), "matrix"),
    "objects": (array(1, (1,), OBJECTS, False, [1]), "numpy.dtype('O')"),
    "too few objects": (array(1, (50,), OBJECTS, False, [1]), "numpy.dtype('O')"),
    "fields": (array(1, (1,), np.dtype([("a", "f8")]), False, b"A" * 8), "numpy.dtype('V8')"),
    "times": (array(1, (1,), np.dtype("M8[s]"), False, b"A" * 8), "numpy.dtype('M8')"),
    "too few bytes": (array(1, (50,), F8, False, b"A" * 8), "more or fewer bytes than its shape"),
    "too large": (array(1, (2**40, 2**40), F8, False, b""), "more or fewer bytes than its shape"),
    "less than nothing": (array(1, (-1,), F8, False, b"A" * 8), "more or fewer bytes than its"),
    "a list": (array(1, (1,), F8, False, [1.0]), "a form that NumPy does not write"),
    "a letter too far": (
        array(1, (1,), dtype("U1", False, True), False, b"\xff" * 4),
        "cut off or damaged",
    ),
    "a number of too few bytes": (Asks(SCALAR, F8, b"A" * 7), "a number has more or fewer bytes"),
    "a number that is an object": (Asks(SCALAR, OBJECTS, b"A" * 8), "numpy.dtype('O')"),
    "flags of a type": (
        Asks(np.dtype, "f8", False, True, states=((3, "<", None, None, None, -1, -1, 63, 1),)),
        "numpy.dtype with fields",
    ),
}


@pytest.mark.parametrize("old_form", [False, True])
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_hold_plain_values_of_the_file_alone(
    name: str, old_form: bool, tmp_path: Path
) -> None:
    value, sentence = ARRAYS[name]
    assert sentence in refused(saved({"m": value, "state_dict": WEIGHTS}, old_form), tmp_path)


def test_an_array_is_filled_once(tmp_path: Path) -> None:
    once = pickle.dumps(np.arange(3.0), 2)[:-1]
    state = pickle.dumps((1, (1,), np.dtype("f8"), False, b"A" * 8), 2)[2:-1]
    assert type(read(once + b".", tmp_path)) is PlainArray
    with pytest.raises(pickle.UnpicklingError, match="a form that NumPy does not write"):
        read(once + state + b"b.", tmp_path)


def read(pickled: bytes, folder: Path) -> Any:
    path = folder / "c.pth"
    path.write_bytes(with_pickle(pickled))
    return read_archive(path, "zip", in_file=True)


#: Arrays, numbers and texts that files hold.
VALUES: dict[str, Any] = {
    code: np.array([[1, 0, 3]]).astype(code)
    for code in ("?", "i1", "u2", "<i4", ">i8", "f2", "<f4", ">f8", "c8", "c16", "S2", "<U3", ">U3")
}
VALUES |= {f"one {code}": values[0, 0] for code, values in VALUES.items()}
VALUES |= {
    "columns first": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "no number": np.zeros((0, 3)),
    "no axis": np.array(3.0),
}


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("name", VALUES)
def test_arrays_numbers_and_texts_are_read_as_they_were(
    name: str, protocol: int, tmp_path: Path
) -> None:
    path, value = tmp_path / "c.pth", VALUES[name]
    path.write_bytes(saved({"state_dict": WEIGHTS, "meta": {"x": value}}, protocol=protocol))
    found = read_checkpoint(path).meta["x"]
    assert found.dtype.newbyteorder("=") == value.dtype.newbyteorder("=")
    assert np.array_equal(found, value)
    assert isinstance(found, np.ndarray) == isinstance(value, np.ndarray)


def test_an_array_that_was_read_is_pickled_as_one_of_numpy(tmp_path: Path) -> None:
    path = tmp_path / "c.pth"
    path.write_bytes(saved({"state_dict": WEIGHTS, "meta": {"x": np.arange(3)}}))
    found = read_checkpoint(path).meta["x"]
    assert type(found) is PlainArray
    for protocol in (2, 5):
        again = pickle.loads(pickle.dumps(found, protocol))
        assert type(again) is np.ndarray
        assert np.array_equal(again, np.arange(3))


# --- tensors -------------------------------------------------------------------------------------


def rebuilt(*args: Any, function: str = "_rebuild_tensor_v2") -> Any:
    """Return what asks for a tensor over a storage of four numbers."""
    return Asks(getattr(torch._utils, function), WEIGHTS["a"].storage(), *args)


def seen(offset: Any, size: Any, stride: Any) -> Any:
    return rebuilt(offset, size, stride, False, OrderedDict())


TENSORS: dict[str, tuple[Any, str]] = {
    "more than its storage": (seen(0, (5,), (1,)), "larger than its storage"),
    "behind its storage": (seen(3, (2,), (1,)), "larger than its storage"),
    "far apart": (seen(0, (2,), (4,)), "larger than its storage"),
    "before its storage": (seen(-1, (2,), (1,)), "has no shape"),
    "backwards": (seen(3, (2,), (-1,)), "has no shape"),
    "two shapes": (seen(0, (2, 2), (1,)), "has no shape"),
    "more than can be counted": (seen(0, (2**40, 2**40), (0, 0)), "has no shape"),
    "one number ten billion times": (seen(0, (10**10,), (0,)), "say that they have more than"),
    "no storage": (Asks(torch._utils._rebuild_tensor_v2, 1, 0, (1,), (1,), False, {}), "without a"),
    "memory as it is": (Asks(torch.FloatTensor, 1000), "torch.FloatTensor"),
    "a tensor of nothing": (Asks(torch.Tensor, 1000), "torch.Tensor"),
    "as many bytes": (Asks(bytearray, 10**10), "_codecs.encode of more than bytes"),
    "a quantized tensor without a scale": (
        Asks(torch._utils._rebuild_qtensor, WEIGHTS["a"].storage(), 0, (1,), (1,), (), False, {}),
        "a quantized tensor without a storage",
    ),
    "a sparse tensor of other places": (
        Asks(
            torch._utils._rebuild_sparse_tensor,
            torch.sparse_coo,
            (torch.tensor([[9]]), torch.ones(1), (3,)),
        ),
        "cut off or damaged",
    ),
    "a nested tensor": (
        Asks(torch._utils._rebuild_nested_tensor, *[WEIGHTS["a"]] * 4)
        if hasattr(torch._utils, "_rebuild_nested_tensor")
        else Asks(eval, "1"),
        "was not opened: it asks for",
    ),
}


@pytest.mark.parametrize("old_form", [False, True])
@pytest.mark.parametrize("name", TENSORS)
def test_tensors_hold_numbers_of_the_file_alone(name: str, old_form: bool, tmp_path: Path) -> None:
    value, sentence = TENSORS[name]
    assert sentence in refused(saved({"m": value, "state_dict": WEIGHTS}, old_form), tmp_path)


@pytest.mark.parametrize("old_form", [False, True])
def test_a_storage_has_the_bytes_that_it_says(old_form: bool, tmp_path: Path) -> None:
    content = saved(WEIGHTS, old_form)
    size = content.index(b"K\x04") if not old_form else content.rindex(b"K\x04N")
    larger = content[:size] + b"K\x7f" + content[size + 2 :]
    assert "cut off or damaged" in refused(larger, tmp_path)


def quantized() -> Any:
    return torch.quantize_per_channel(
        torch.randn(3, 4), torch.tensor([0.1, 0.2, 0.3]), torch.tensor([1, 2, 3]), 0, torch.qint8
    )


def with_attribute() -> Any:
    made = torch.arange(3.0)
    made.remark = "x"
    return made


KINDS: dict[str, Callable[[], Any]] = {
    "parameter": lambda: nn.Parameter(torch.randn(2)),
    "with an attribute": with_attribute,
    "quantized": lambda: torch.quantize_per_tensor(torch.randn(3), 0.1, 3, torch.quint8),
    "quantized by rows": quantized,
    "sparse": lambda: torch.eye(3).to_sparse(),
    "meta": lambda: torch.ones(3, 2, device="meta"),
    "a view": lambda: torch.arange(12.0).reshape(3, 4).t()[1:, ::2],
    "repeated": lambda: torch.ones(1).expand(4, 5),
    "no number": lambda: torch.zeros(0, 3),
    "conjugate": lambda: torch.randn(3, dtype=torch.cfloat).conj(),
    **{
        str(kind): lambda kind=kind: torch.tensor([[0, 1], [1, 0]]).to(kind)
        for kind in (torch.bool, torch.uint8, torch.int16, torch.half, torch.bfloat16, torch.double)
    },
}
if has("sparse_coo_tensor(check_invariants=)"):  # before, under a name of its own
    KINDS["sparse rows"] = lambda: torch.eye(3).to_sparse_csr()
NEWER = ("uint16", "float8_e4m3fn")
for name in NEWER:
    if has("add_safe_globals with names"):  # some before have the types and cannot save them
        KINDS[name] = lambda name=name: torch.tensor([1, 0]).to(getattr(torch, name))


def plain(tensor: Any) -> Any:
    if tensor.is_meta:
        return tuple(tensor.shape)
    tensor = tensor.dequantize() if tensor.is_quantized else tensor
    dense = tensor if tensor.layout is torch.strided else tensor.to_dense()
    return dense.detach().resolve_conj().contiguous().reshape(-1).view(torch.uint8).tolist()


@pytest.mark.parametrize("old_form", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_tensors_are_read_as_torch_reads_them(name: str, old_form: bool, tmp_path: Path) -> None:
    path, made = tmp_path / "c.pth", KINDS[name]()
    path.write_bytes(saved({"a": made, "b": torch.ones(1)}, old_form))
    found = read_checkpoint(path).state_dict["a"]
    own_only = name == "meta" or (old_form and name in NEWER)  # torch cannot read what it wrote
    theirs = made if own_only else torch.load(path, map_location="cpu")["a"]
    assert (found.dtype, found.shape, found.layout) == (theirs.dtype, theirs.shape, theirs.layout)
    assert plain(found) == plain(theirs)
    if found.layout is torch.strided and not found.is_quantized:
        assert found.stride() == theirs.stride()


def test_a_file_of_a_machine_with_the_other_order_of_bytes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "c.pth"
    values = {"a": np.arange(3, dtype="f4"), "b": np.array([1 + 2j], dtype="c8")}
    buffer = io.BytesIO()
    torch.save({name: torch.from_numpy(value) for name, value in values.items()}, buffer)
    with (
        zipfile.ZipFile(buffer) as good,
        zipfile.ZipFile(path, "w") as archive,
    ):
        for info in good.infolist():
            content = good.read(info)
            if info.filename.endswith("byteorder"):
                continue
            if "/data/" in info.filename:
                content = np.frombuffer(content, "<f4").astype(">f4").tobytes()
            archive.writestr(info.filename, content)
        root = good.namelist()[0].partition("/")[0]
        archive.writestr(f"{root}/byteorder", b"big")
    found = read_checkpoint(path).state_dict
    assert all(np.array_equal(found[name].numpy(), value) for name, value in values.items())


# --- pickles -------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_of_today_is_read(protocol: int, tmp_path: Path) -> None:
    whole = {
        "state_dict": OrderedDict(WEIGHTS),
        "meta": {
            "big": 2**70,
            "text": "größer",
            "bytes": b"\x00\xff",
            "many": bytearray(b"ab") if protocol < 5 else b"ab",
            "set": {1, "a"},
            "complex": 1 + 2j,
            "counts": Counter("aab"),
            "size": torch.Size([2, 3]),
            "type": torch.float16,
            "device": torch.device("cuda", 1),
            "nothing": (None, True, False, 0.5, -1),
        },
    }
    path = tmp_path / "c.pth"
    path.write_bytes(saved(whole, protocol=protocol))
    found = read_checkpoint(path)
    assert found.meta == whole["meta"]
    assert [type(v) for v in found.meta.values()] == [type(v) for v in whole["meta"].values()]


def test_a_file_that_python_2_wrote_is_read(tmp_path: Path) -> None:
    pickled = b"\x80\x02}(U\x04metac__builtin__\nset\n]K\x01a\x85Ru."
    assert read(pickled, tmp_path) == {"meta": {1}}


DEEP = b"]" * 100_000 + b"a" * 99_999
#: Instructions -> what the sentence about them says.
PICKLES: dict[str, tuple[bytes, str]] = {
    "a call by its text": (b"(S'touch x'\nios\nsystem\n.", "not pickled as torch.save pickles"),
    "a call on the stack": (b"(cos\nsystem\nX\x01\x00\x00\x00ao.", "it asks for os.system, which"),
    "a number of a registry": (b"\x82\x01.", "not pickled as torch.save pickles"),
    "an identifier in a line": (b"Pa\n.", "not pickled as torch.save pickles"),
    "a buffer": (b"\x97.", "not pickled as torch.save pickles"),
    "a new object with keywords": (b"cbuiltins\nset\n)}\x92.", "not pickled as torch.save pickles"),
    "the state of a mapping": (b"}}b.", "the state of a value of the type dict"),
    "a call of a text": (b"X\x01\x00\x00\x00a)R.", "a call of what cannot be called"),
    "a class named, not called": (b"cnumpy\nndarray\n)R.", "numpy.ndarray"),
    "methods of a method": (
        b"cbuiltins\ngetattr\ncbuiltins\ngetattr\nX\x08\x00\x00\x00__self__\x86R.",
        "getattr.__self__",
    ),
    "a name in parts": (b"\x80\x04\x8c\x02os\x8c\x06system\x93)R.", "os.system"),
    "a name on two lines": (b"\x80\x04\x8c\x02os\x8c\x07sys\ntem\x93.", "os.sys?tem"),
    "ten gigabytes of text": (b"X\xff\xff\xff\xffabc", "it ends too early"),
    "more text than can be": (b"\x8d" + b"\xff" * 7 + b"\x7fabc", "cut off or damaged"),
    "a memo of four billion": (b"Kr\xff\xff\xff\xffj\xfe\xff\xff\xff.", "cut off or damaged"),
    "nothing on the stack": (b"R.", "cut off or damaged"),
    "no end": (b"}", "it ends too early"),
    "a list as a set": (b"]]\x90.", "cut off or damaged"),
    "a key that takes ages": (
        b"}K\x01" + b"q\x00h\x00\x86" * 60 + b"K\x01s.",
        "a key is a tuple with tuples in it",
    ),
    "deep": (b"\x80\x02" + DEEP + b".", "holds no weights"),
}


@pytest.mark.parametrize("name", PICKLES)
def test_instructions_that_act_are_refused(name: str, tmp_path: Path) -> None:
    pickled, sentence = PICKLES[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sentence in refused(with_pickle(pickled), tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kilobytes


@pytest.mark.parametrize(
    ("meta", "sentence"),
    [
        (DEEP, "is nested deeper or holds more than any program writes"),
        (
            b"K\x01" + b"q\x00h\x00\x86" * 60,
            "is nested deeper or holds more than any program writes",
        ),
        (b"]q\x00h\x00a", "is nested deeper or holds more than any program writes"),
    ],
    ids=["deep", "twice and twice", "within itself"],
)
def test_what_a_file_says_of_itself_can_be_written_again(
    meta: bytes, sentence: str, tmp_path: Path
) -> None:
    assert sentence in refused(with_meta(meta), tmp_path)


#: Names, and what is written of them.
NAMES = {
    "a log": b"cmmengine.logging.history_buffer\nHistoryBuffer\n)R",
    "a class": b"cnumpy\nndarray\n",
    "a function": b"c_codecs\nencode\n",
    "a type": b"cnumpy\ndtype\nX\x02\x00\x00\x00f8\x85R",
    "a schedule": b"cmmengine.optim.scheduler.param_scheduler\nOneCycleParamScheduler\n",
}


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_a_stand_in_is_written(name: str, suffix: str, tmp_path: Path) -> None:
    path, copy = tmp_path / "c.pth", tmp_path / f"d.{suffix}"
    path.write_bytes(with_meta(NAMES[name]))
    found = read_checkpoint(path)
    write_checkpoint(copy, found.state_dict, found.meta)
    assert b"mmseg_fixkit" not in copy.read_bytes()
    assert read_checkpoint(copy).meta == {"x": {} if suffix == "pth" else "not read"}


def with_meta(meta: bytes) -> bytes:
    """Return a checkpoint with the value of some instructions in its meta."""
    good = io.BytesIO(saved({"state_dict": WEIGHTS}))
    with zipfile.ZipFile(good) as archive:
        files = {n.partition("/")[2]: archive.read(n) for n in archive.namelist()}
    pickled = files.pop("data.pkl")[:-1]
    whole = pickled + b"X\x04\x00\x00\x00meta}X\x01\x00\x00\x00x" + meta + b"ss."
    return with_pickle(whole, **{n.replace("/", "__"): c for n, c in files.items()})


def test_versions_of_layers_are_taken_and_no_other_state(tmp_path: Path) -> None:
    state = nn.BatchNorm2d(2).state_dict()
    state.remark = "x"
    state._metadata["bad"] = {"version": [1]}
    path = tmp_path / "c.pth"
    torch.save(state, path)
    found = read_checkpoint(path).state_dict
    assert vars(found) == {"_metadata": {"": {"version": 2}}}


def test_an_archive_does_not_grow_without_end(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("c/data.pkl", bytes(200_000_000))
    assert "says that it has 200000000 bytes" in refused(buffer.getvalue(), tmp_path)


def test_an_old_file_keeps_parts_of_storages(tmp_path: Path) -> None:
    heads = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    content = b"".join(pickle.dumps(head, 2) for head in heads)
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
    storage += b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04"
    part = b"(X\x02\x00\x00\x00vwK\x01K\x02ttQ"
    content += b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor\n("
    content += storage + part + b"K\x00K\x02\x85K\x01\x85tRs."
    content += pickle.dumps(["0"], 2) + struct.pack("<q4f", 4, 0, 1, 2, 3)
    path = tmp_path / "c.pth"
    path.write_bytes(content)
    assert read_checkpoint(path).state_dict["a"].tolist() == [1, 2]
    path.write_bytes(content.replace(b"K\x01K\x02tt", b"K\x01K\x04tt"))
    with pytest.raises(FixkitError, match="a part of a storage is larger than the storage"):
        read_checkpoint(path)


def test_the_reader_needs_no_limit_of_python(tmp_path: Path) -> None:
    path = tmp_path / "c.pth"
    path.write_bytes(with_pickle(b"\x80\x02" + DEEP + b"."))
    before = sys.getrecursionlimit()
    assert len(read_archive(path, "zip", in_file=False)) == 1
    assert sys.getrecursionlimit() == before

"""Hostile checkpoints: pickles of names that are known, used in any way, in files that are damaged.

Two processes open each file. Neither may die of it, both must end in a checkpoint or a sentence,
and both must see the same numbers, although their fresh memory holds other bytes: a number that
differs was never in the file.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import pickle
import select
import struct
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from random import Random
from typing import IO, Any, Optional

from mmseg_fixkit.checkpoint.safe_globals import ALLOWED
from mmseg_fixkit.checkpoint.tensors import _NAMED, _REBUILD, STORAGES
from tests.helpers.paths import ROOT

_SECONDS = 60
_NUMBERS = (
    -1,
    0,
    1,
    2,
    3,
    4,
    8,
    64,
    255,
    4096,
    2**31 - 1,
    2**31,
    2**40,
    2**62,
    2**63 - 1,
    -(2**63),
)
_PYTHON = (
    "collections.OrderedDict",
    "collections.Counter",
    "builtins.set",
    "builtins.complex",
    "builtins.bytearray",
    "_codecs.encode",
)
_CODES = (
    "f8",
    "f4",
    "i8",
    "i4",
    "u1",
    "b1",
    "c16",
    "U2",
    "S3",
    "O",
    "O8",
    "V8",
    "M8",
    "f8,i4",
    "U0",
    "f16",
)
_UNLISTED = (
    "os.system",
    "builtins.eval",
    "numpy.core.multiarray.fromstring",
    "torch.FloatTensor",
    "torch._utils._rebuild_nested_tensor",
    "numpy.dtypes.Float64DType",
    "a.b\x1b[31m",
)
_TORCH = (
    *_REBUILD,
    *_NAMED,
    "torch.float32",
    "torch.quint8",
    "torch.per_tensor_affine",
    "torch.per_channel_affine",
    "torch.storage.UntypedStorage",
    "torch.FloatStorage",
)
_OPCODES = bytes(
    sorted(
        code[0]
        for name in pickle.__all__
        if name.isupper() and isinstance(code := getattr(pickle, name), bytes) and len(code) == 1
    )
)


# --- pickles -------------------------------------------------------------------------------------


class Pickle:
    """Writes instructions, most of them as checkpoints have them, some with other arguments."""

    def __init__(self, random: Random, wrong: float, tensors: bool) -> None:
        self.random = random
        self.wrong = wrong
        self.tensors = tensors
        self.out = bytearray(b"\x80\x02")
        self.memo = 0
        self.depth = 0

    # What every writer has.

    def plain(self, value: Any) -> None:
        """Write a value of Python, as torch.save would."""
        self.out += pickle.dumps(value, 2)[2:-1].replace(b"q\x00", b"").replace(b"q\x01", b"")

    def name(self, name: str) -> None:
        module, _, own = name.rpartition(".")
        self.out += b"c" + module.encode() + b"\n" + own.encode() + b"\n"

    def tuple(self, *parts: Any) -> None:
        """Write a tuple; each part is a function that writes it, or a plain value."""
        self.out += b"("
        for part in parts:
            if self.random.random() < self.wrong:
                self.value()
            elif callable(part):
                part()
            else:
                self.plain(part)
        self.out += b"t"

    def called(self, name: str, *parts: Any) -> None:
        self.name(self.one_of(_TORCH if self.tensors else tuple(ALLOWED)) if self.off() else name)
        self.tuple(*parts)
        self.out += self.one_of((b"R", b"\x81")) if self.off() else b"R"
        self.remember()

    def remember(self) -> None:
        if self.memo < 250:
            self.out += b"q" + bytes([self.memo])
            self.memo += 1

    def built(self, *state: Any) -> None:
        self.tuple(*state)
        self.out += b"b"
        if self.off():
            self.again()

    def again(self) -> None:
        """Give the last value another state."""
        self.value()
        self.out += b"b"

    def off(self) -> bool:
        return self.random.random() < self.wrong

    def one_of(self, things: Any) -> Any:
        return self.random.choice(things)

    def number(self) -> int:
        return int(self.one_of(_NUMBERS)) if self.off() else self.random.randrange(5)

    # What checkpoints have.

    def encoded(self, content: bytes) -> None:
        self.called("_codecs.encode", content.decode("latin-1"), "latin1")

    def dtype(self) -> None:
        code = self.one_of(_CODES) if self.off() else self.one_of(_CODES[:8])
        self.called("numpy.dtype", code, False, True)
        order = self.one_of("<>|=")
        self.built(3, order, None, None, None, self.one_of((-1, 8)), self.one_of((-1, 4)), 0)

    def array(self) -> None:
        module = self.one_of(("numpy._core", "numpy.core"))
        kind = lambda: self.name("numpy.ndarray")  # noqa: E731
        first = lambda: self.encoded(b"b")  # noqa: E731
        self.called(f"{module}.multiarray._reconstruct", kind, (0,), first)
        shape = (self.number(),) * self.random.randrange(1, 3)
        size = self.random.choice((0, 1, 3, 4, 8, 12, 16, 24, 32, 64))
        values: Any = [1] if self.off() else lambda: self.encoded(self.random.randbytes(size))
        self.built(1, shape, self.dtype, self.one_of((False, True)), values)

    def scalar(self) -> None:
        values = lambda: self.encoded(self.random.randbytes(self.one_of((1, 4, 8, 16))))  # noqa: E731
        self.called("numpy._core.multiarray.scalar", self.dtype, values)

    def history(self) -> None:
        self.called("mmengine.logging.history_buffer.HistoryBuffer")
        self.out += b"}("
        for key in ("max_length", "_log_history", "_count_history", "statistics_methods"):
            self.plain(key)
            if self.off():
                self.value()
            elif key == "max_length":
                self.plain(1000)
            elif key == "statistics_methods":
                self.method()
            else:
                self.array()
        self.out += b"ub"

    def method(self) -> None:
        owner = self.one_of(list(ALLOWED))
        method = self.one_of(("min", "mean", "_annealing_cos", "__init__", "__globals__", "tofile"))
        self.called("builtins.getattr", lambda: self.name(owner), method)

    def container(self) -> None:
        kind = self.one_of((b"]", b"}", b"\x8f", b"("))
        self.out += kind
        if kind != b"(":
            self.remember()
            self.out += b"("
        for _ in range(2 * self.random.randrange(3)):
            self.value()
        self.out += {b"]": b"e", b"}": b"u", b"\x8f": b"\x90", b"(": b"t"}[kind]

    def storage(self) -> None:
        kind = self.one_of(list(STORAGES)) if self.off() else "FloatStorage"
        place = lambda: self.name(f"torch.{kind}")  # noqa: E731
        count = self.number() if self.off() else 16
        self.tuple("storage", place, str(self.random.randrange(3)), "cpu", count)
        self.out += b"Q"

    def tensor(self) -> None:
        size = tuple(self.number() for _ in range(self.random.randrange(4)))
        stride = tuple(self.number() for _ in size)
        hooks = lambda: self.called("collections.OrderedDict")  # noqa: E731
        view = (self.storage, self.number(), size, stride)
        dtype = lambda: self.name(self.one_of(("torch.float32", "torch.int64", "torch.qint8")))  # noqa: E731
        scheme = lambda: self.tuple(  # noqa: E731
            lambda: self.name("torch.per_channel_affine"), [0.5] * 2, [0] * 2, self.number()
        )
        layout = lambda: self.called(  # noqa: E731
            "torch.serialization._get_layout", self.one_of(("torch.sparse_coo", "torch.sparse_csr"))
        )
        data = lambda: self.tuple(self.tensor, self.tensor, size)  # noqa: E731
        made: dict[str, tuple[Any, ...]] = {
            "_utils._rebuild_tensor_v2": (*view, False, hooks),
            "_utils._rebuild_tensor": view,
            "_utils._rebuild_tensor_v3": (*view, False, hooks, dtype),
            "_utils._rebuild_parameter": (self.tensor, True, hooks),
            "_utils._rebuild_qtensor": (*view, scheme, False, hooks),
            "_utils._rebuild_sparse_tensor": (layout, data),
            "_utils._rebuild_meta_tensor_no_storage": (dtype, size, stride, False),
            "_utils._rebuild_device_tensor_from_numpy": (self.array, dtype, "cpu", False),
        }
        deep = self.depth > 4
        name = next(iter(made)) if deep or self.random.random() < 0.6 else self.one_of(list(made))
        self.depth += 1
        self.called(f"torch.{name}", *made[name])
        self.depth -= 1

    def anything(self) -> None:
        """Write a call of any name with any arguments."""
        known = (*ALLOWED, *_PYTHON, *(_TORCH if self.tensors else ()))
        self.name(self.one_of(_UNLISTED) if self.random.random() < 0.05 else self.one_of(known))
        self.tuple(*[self.value] * self.random.randrange(4))
        self.out += self.one_of((b"R", b"\x81"))
        self.remember()

    def recalled(self) -> None:
        self.out += b"h" + bytes([self.random.randrange(self.memo)]) if self.memo else b"N"

    def value(self) -> None:
        """Write any value."""
        if self.depth > 5:
            self.plain(self.number())
            return
        self.depth += 1
        plain = lambda: self.plain(  # noqa: E731
            self.one_of((None, True, 0.5, "a", "storage", self.number(), (0,), (2, 2)))
        )
        with_torch = (self.tensor, self.storage) if self.tensors else ()
        kinds = (
            self.array,
            self.scalar,
            self.history,
            self.method,
            self.dtype,
            self.container,
            plain,
            plain,
            self.recalled,
            *with_torch,
        )
        (self.anything if self.off() else self.one_of(kinds))()
        self.depth -= 1

    def whole(self) -> bytes:
        """Write a checkpoint: weights, and values beside them."""
        self.out += b"}("
        if self.tensors or self.random.random() < 0.5:
            self.plain("state_dict")
            self.out += b"}("
            for number in range(self.random.randrange(1, 4)):
                self.plain(f"layer{number}.weight")
                self.tensor() if self.tensors else self.array()
            self.out += b"u"
        for key in ("meta", "message_hub"):
            self.plain(key)
            self.out += b"}("
            self.plain("x")
            self.value()
            self.out += b"u"
        self.out += b"u."
        return bytes(self.out)


def mutated(random: Random, content: bytes) -> bytes:
    """Change, leave out or put in a few bytes, or instructions."""
    data = bytearray(content)
    for _ in range(random.randrange(1, 4)):
        at = random.randrange(len(data) + 1)
        some = random.choice((random.randbytes(1), bytes([random.choice(_OPCODES)])))
        data[at : at + random.choice((0, 1, 1, 1, random.randrange(30)))] = some
    return bytes(data)


# --- files ---------------------------------------------------------------------------------------


def zipped(random: Random, pickled: bytes, damage: float) -> bytes:
    """Return today's form of torch.save."""
    buffer = io.BytesIO()
    how = zipfile.ZIP_DEFLATED if random.random() < 0.1 else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", how) as archive:
        archive.writestr("c/data.pkl", pickled)
        if random.random() < 0.5:
            order = random.choice((b"little", b"big", b"none"))
            archive.writestr("c/byteorder", order)
        for number in range(3):
            size = random.choice((0, 63)) if random.random() < damage else 64
            archive.writestr(f"c/data/{number}", bytes(random.randrange(256) for _ in range(size)))
        archive.writestr("c/version", b"3\n")
    content = buffer.getvalue()
    return mutated(random, content) if random.random() < damage else content


def legacy(random: Random, pickled: bytes, damage: float) -> bytes:
    """Return the form of torch.save before torch 1.6."""
    heads = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    content = b"".join(pickle.dumps(head, 2) for head in heads) + pickled
    content += pickle.dumps(["0", "1", "2"], 2)
    for _ in range(3):
        count = random.choice(_NUMBERS) if random.random() < damage else 16
        content += struct.pack("<q", count) + random.randbytes(64)
    return mutated(random, content) if random.random() < damage else content


# --- processes -----------------------------------------------------------------------------------


class Child:
    """A process that opens files; it is started again after it died."""

    def __init__(self, fresh_memory: int) -> None:
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "MALLOC_PERTURB_": str(fresh_memory),
            "OMP_NUM_THREADS": "1",
        }
        self._process: Optional[subprocess.Popen[str]] = None

    def told(self, path: Path, torch_too: bool) -> list[str]:
        """Return what the process says of a file. Raises AssertionError if it dies of it."""
        process = self._started()
        to, answers = _pipes(process)
        to.write(json.dumps([str(path), torch_too]) + "\n")
        to.flush()
        if not select.select([answers], [], [], _SECONDS)[0]:
            process.kill()
        line = answers.readline()
        if not line:
            self._process = None
            raise AssertionError(f"the process ended with {process.wait()}")
        found: list[str] = json.loads(line)
        return found

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.checkpoints_child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                cwd=ROOT,
                env=self._environment,
            )
            atexit.register(self._process.kill)
        return self._process


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


@cache
def _children() -> tuple[Child, Child]:
    return Child(1), Child(254)


def attempt(random: Random, folder: Path) -> str:
    """Let both processes open one file; return its form and what became of it."""
    tensors = random.random() < 0.6
    wrong, damage = random.choice((0, 0.02, 0.1, 0.3)), random.choice((0, 0, 0.3))
    pickled = Pickle(random, wrong, tensors).whole()
    if random.random() < 0.15:
        pickled = mutated(random, pickled)
    form = zipped if random.random() < 0.7 else legacy
    path = folder / "c.pth"
    path.write_bytes(form(random, pickled, damage))
    torch_too = not tensors and not damage  # torch itself reads what a damaged archive left undone
    first, second = (child.told(path, torch_too) for child in _children())
    assert not any(text.startswith("FOUND") for text in (*first, *second)), f"{first} {second}"
    assert first == second, f"memory was read: {first} {second}"
    return f"{form.__name__} {first[0].split()[0]}"

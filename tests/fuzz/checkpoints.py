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
from math import prod
from pathlib import Path
from random import Random
from typing import IO, Any, Optional

import numpy

from mmseg_fixkit.checkpoint.safe_globals import ALLOWED, METHODS
from mmseg_fixkit.checkpoint.tensors import _NAMED, _REBUILD, STORAGES
from tests.helpers.paths import ROOT

_SECONDS = 60
_COUNT = 64  # numbers of a storage
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
        self.used: dict[str, None] = {}  # storages

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

    def dtype(self, code: str = "f8", order: str = "<") -> None:
        self.called("numpy.dtype", self.one_of(_CODES) if self.off() else code, False, True)
        self.built(3, order, None, None, None, self.one_of((-1, 8)), self.one_of((-1, 4)), 0)

    def values(self, code: str, order: str, count: int) -> bytes:
        """Return the bytes of so many numbers or texts; others where that is to be wrong."""
        size = numpy.dtype(code).itemsize * count
        if self.off():
            return self.random.randbytes(self.one_of((0, 1, 4, 8, size, size + 1)))
        if code[0] != "U":
            return self.random.randbytes(size)
        return ("a" * (size // 4)).encode("utf-32-le" if order != ">" else "utf-32-be")

    def array(self) -> None:
        module, code = self.one_of(("numpy._core", "numpy.core")), self.one_of(_CODES[:8])
        order, shape = self.one_of("<>"), (self.number(),) * self.random.randrange(1, 3)
        content = self.values(code, order, min(abs(prod(shape)), 100))
        self.called(
            f"{module}.multiarray._reconstruct",
            lambda: self.name("numpy.ndarray"),
            (0,),
            lambda: self.encoded(b"b"),
        )
        kept: Any = [1] if self.off() else lambda: self.encoded(content)
        self.built(1, shape, lambda: self.dtype(code, order), self.one_of((False, True)), kept)

    def scalar(self) -> None:
        code, order = self.one_of(_CODES[:8]), self.one_of("<>")
        content = self.values(code, order, 1)
        self.called(
            "numpy._core.multiarray.scalar",
            lambda: self.dtype(code, order),
            lambda: self.encoded(content),
        )

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
        owner = self.one_of(list(ALLOWED if self.off() else METHODS))
        methods = ("min", "_annealing_cos", "__init__", "__globals__", "tofile")
        method = self.one_of(methods if self.off() else METHODS.get(owner, methods))
        self.called("builtins.getattr", lambda: self.name(owner), method)

    def container(self) -> None:
        kind = self.one_of((b"]", b"}", b"\x8f", b"("))
        self.out += kind
        if kind != b"(":
            self.remember()
            self.out += b"("
        for number in range(2 * self.random.randrange(3)):
            is_key = kind == b"\x8f" or (kind == b"}" and number % 2 == 0)
            self.plain(f"key{number}") if is_key and not self.off() else self.value()
        self.out += {b"]": b"e", b"}": b"u", b"\x8f": b"\x90", b"(": b"t"}[kind]

    def storage(self, kind: str = "FloatStorage") -> None:
        kind = self.one_of(list(STORAGES)) if self.off() else kind
        count = self.number() if self.off() else _COUNT
        key = f"{kind[0]}{self.random.randrange(3)}"
        self.used[key] = None
        self.tuple("storage", lambda: self.name(f"torch.{kind}"), key, "cpu", count)
        self.out += b"Q"

    def tensor(self) -> None:
        size = tuple(self.number() for _ in range(self.random.randrange(3)))
        stride = tuple(
            self.number() if self.off() else prod(size[i + 1 :]) for i in range(len(size))
        )
        hooks = lambda: self.called("collections.OrderedDict")  # noqa: E731
        view = (self.storage, self.number() if self.off() else 0, size, stride)
        small = (lambda: self.storage("QInt8Storage"), 0, size, stride)
        dtype = lambda: self.name(self.one_of(("torch.float32", "torch.int16", "torch.bool")))  # noqa: E731
        rows = size[0] if size and size[0] < 100 else 1
        each = lambda: self.name("torch.per_channel_affine")  # noqa: E731
        all_alike = lambda: self.name("torch.per_tensor_affine")  # noqa: E731
        schemes = ((each, [0.5] * rows, [0] * rows, 0), (all_alike, 0.5, 0))
        scheme = lambda: self.tuple(*self.one_of(schemes))  # noqa: E731
        layout = lambda: self.called(  # noqa: E731
            "torch.serialization._get_layout", self.one_of(("torch.sparse_coo", "torch.sparse_csr"))
        )
        data = lambda: self.tuple(self.tensor, self.tensor, size)  # noqa: E731
        made: dict[str, tuple[Any, ...]] = {
            "_utils._rebuild_tensor_v2": (*view, False, hooks),
            "_utils._rebuild_tensor": view,
            "_utils._rebuild_tensor_v3": (*view, False, hooks, dtype),
            "_utils._rebuild_parameter": (self.tensor, True, hooks),
            "_utils._rebuild_qtensor": (*small, scheme, False, hooks),
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


def zipped(random: Random, pickled: bytes, keys: list[str], damage: float) -> bytes:
    """Return today's form of torch.save."""
    buffer = io.BytesIO()
    how = zipfile.ZIP_DEFLATED if random.random() < 0.1 else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", how) as archive:
        archive.writestr("c/data.pkl", pickled)
        if random.random() < 0.5:
            order = random.choice((b"little", b"big", b"none"))
            archive.writestr("c/byteorder", order)
        for key in keys:
            size = random.choice((0, 63)) if random.random() < damage else 4 * _COUNT
            archive.writestr(f"c/data/{key}", bytes(random.randrange(256) for _ in range(size)))
        archive.writestr("c/version", b"3\n")
    content = buffer.getvalue()
    return mutated(random, content) if random.random() < damage else content


def legacy(random: Random, pickled: bytes, keys: list[str], damage: float) -> bytes:
    """Return the form of torch.save before torch 1.6."""
    heads = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    content = b"".join(pickle.dumps(head, 2) for head in heads) + pickled
    content += pickle.dumps(keys, 2)
    for key in keys:
        count = random.choice(_NUMBERS) if random.random() < damage else _COUNT
        content += struct.pack("<q", count) + random.randbytes(_COUNT * (1 if key[0] == "Q" else 4))
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
    made = Pickle(random, wrong, tensors)
    pickled = made.whole()
    if random.random() < 0.15:
        pickled = mutated(random, pickled)
    form = zipped if random.random() < 0.7 else legacy
    path = folder / "c.pth"
    path.write_bytes(form(random, pickled, [*made.used], damage))
    # torch itself takes memory for what a damaged file asks for, and reads it unwritten.
    torch_too = not tensors and not damage and form is zipped
    first, second = (child.told(path, torch_too) for child in _children())
    assert not any(text.startswith("FOUND") for text in (*first, *second)), f"{first} {second}"
    assert first == second, f"memory was read: {first} {second}"
    return f"{form.__name__} {first[0].split()[0]}"

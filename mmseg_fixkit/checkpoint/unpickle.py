"""A reader of pickles that builds values and runs nothing.

A pickle is a list of instructions, two of which call what the file names and two of which set the
state of what was called. Here a name is looked up in one table and gives a stand-in, so a file
never holds a real class or function; only a :class:`Known` can be called, with arguments that its
own function checks; and state is set by a table of types. Instructions that do none of this, and
that ``torch.save`` writes, are those of :class:`pickle._Unpickler`, the reader in Python of the
standard library (that in C sets attributes of whatever it is given). All others are refused.
"""

from __future__ import annotations

import io
import mmap
import pickle
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable, Optional, Union

from mmseg_fixkit.checkpoint.safe_globals import (
    GETATTR,
    HISTORY,
    METHODS,
    ONE_CYCLE,
    NotAllowedError,
    PlainArray,
    PlainDtype,
    StandIn,
    fill,
    method_of,
    numpy_stand_ins,
)

#: Instructions that make plain values, put them together, or remember them.
_PLAIN = (
    "PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT "
    "SHORT_BINSTRING BINSTRING BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES "
    "BINBYTES8 EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST EMPTY_DICT EMPTY_SET "
    "BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET GLOBAL STACK_GLOBAL"
)
#: Parameters of torch 0.3 have a state: whether they are trained, which is not taken.
_TENSOR = "torch.Tensor"


PickleFile = Union[io.BytesIO, mmap.mmap]


@dataclass(frozen=True)
class Known(StandIn):
    """What a file may call: ``make`` checks its arguments and returns a value."""

    stands_for: str
    make: Callable[..., Any]


class Unknown(StandIn):
    """Stands where a file asks for something else: takes anything, does nothing, is no value."""


class IgnoredLog(StandIn):
    """Takes the place of a ``HistoryBuffer``, which nobody reads here, whatever its state."""


def read_pickle(
    file: PickleFile,
    names: Callable[[str], Any] = lambda name: None,
    storage: Optional[Callable[[Any], Any]] = None,
) -> Any:
    """Read one pickle from where ``file`` stands, and leave the file behind it.

    Args:
        file: bytes in memory, or a mapped file.
        names: gives what stands for a name such as ``"torch.FloatStorage"``; None for what is
            unknown. The names of Python, NumPy and MMEngine are known without it.
        storage: gives what an identifier outside the pickle stands for.

    Raises:
        NotAllowedError: it asks for names that are unknown, or uses known ones in other ways than
            checkpoints do; holds all that it asks for.
        Exception: of any kind; the pickle is damaged.
    """
    reader = _Reader(file, names, storage)
    try:
        value = reader.load()
    except NotAllowedError as error:
        raise NotAllowedError(*reader.unknown, *error.names) from None
    except Exception:
        if not reader.unknown:
            raise
    if reader.unknown:
        raise NotAllowedError(*reader.unknown)
    return value


def skip_pickle(file: PickleFile, storage: Callable[[Any], Any]) -> None:
    """Move ``file`` behind the pickle in it; ``storage`` is told each identifier on the way."""
    _Skipper(file, lambda name: None, storage).load()


class _Reader(pickle._Unpickler):
    """Builds what a pickle holds; see the head of the module."""

    stack: list[Any]
    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]

    def __init__(
        self,
        file: PickleFile,
        names: Callable[[str], Any],
        storage: Optional[Callable[[Any], Any]],
    ) -> None:
        super().__init__(file, encoding="utf-8")
        self.unknown: dict[str, None] = {}
        self._names = names
        self._storage = storage

    # --- names and identifiers -------------------------------------------------------------------

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name (of Python 2 too); one that nothing stands for is noted."""
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        full = f"{module}.{name}"
        found = _OWN[full] if full in _OWN else self._names(full)
        if found is None:
            self.unknown[full] = None
            return Unknown()
        return found

    def load_binpersid(self) -> None:
        """Take a storage, the one thing that may lie outside a pickle."""
        found = self.stack.pop()
        if type(found) is tuple and found[:1] == ("module",):  # old files, of whole models
            self.append(found[1])
        elif self._storage is None:
            raise pickle.UnpicklingError("tensors stand where none belong")
        else:
            self.append(self._storage(found))

    # --- instructions that act -------------------------------------------------------------------

    def load_reduce(self) -> None:
        """Call what is known."""
        args = self.stack.pop()
        self.stack[-1] = self._called(self.stack[-1], args)

    def load_build(self) -> None:
        """Give something its state."""
        state = self.stack.pop()
        kind = type(self.stack[-1])
        if kind in _STATES:
            _STATES[kind](self.stack[-1], state)
        elif f"{kind.__module__}.{kind.__name__}" != _TENSOR:
            raise NotAllowedError(f"the state of a value of the type {kind.__name__}")

    def _called(self, what: Any, args: Any) -> Any:
        if type(what) is Unknown or any(type(arg) is Unknown for arg in args):
            return Unknown()
        if type(what) is not Known or type(args) is not tuple:
            raise NotAllowedError(getattr(what, "stands_for", "a call of what cannot be called"))
        return what.make(*args)

    # --- instructions that fill containers -------------------------------------------------------

    def load_append(self) -> None:
        """Put one value at the end of a list."""
        value = self.stack.pop()
        self._extend([value])

    def load_appends(self) -> None:
        """Put values at the end of a list."""
        self._extend(self.pop_mark())

    def load_setitem(self) -> None:
        """Put one key and its value into a mapping."""
        value, key = self.stack.pop(), self.stack.pop()
        self._update([key], [value])

    def load_setitems(self) -> None:
        """Put keys and their values into a mapping."""
        items = self.pop_mark()
        self._update(items[::2], items[1::2])

    def load_additems(self) -> None:
        """Put values into a set."""
        items = self.pop_mark()
        self._fill(set).update(map(_key, items))

    def _extend(self, items: list[Any]) -> None:
        self._fill(list).extend(items)

    def _update(self, keys: list[Any], values: list[Any]) -> None:
        target = self._fill(dict, OrderedDict, Counter)
        for key, value in zip(keys, values):
            target[_key(key)] = value

    def _fill(self, *kinds: type[Any]) -> Any:
        target = self.stack[-1]
        if type(target) is Unknown:
            return kinds[0]()
        if type(target) not in kinds:
            raise pickle.UnpicklingError(f"a {type(target).__name__} is filled as a container")
        return target


def _refused(reader: _Reader) -> None:
    raise pickle.UnpicklingError("it is not pickled as torch.save pickles")


def _dispatch() -> dict[int, Any]:
    """Return what is done at each instruction, by its number."""
    table: dict[int, Any] = dict.fromkeys(range(256), _refused)
    for name in _PLAIN.split():
        code = getattr(pickle, name)[0]
        table[code] = pickle._Unpickler.dispatch[code]
    acting = {
        pickle.REDUCE: _Reader.load_reduce,
        pickle.NEWOBJ: _Reader.load_reduce,  # a class that is known is called as well
        pickle.BUILD: _Reader.load_build,
        pickle.BINPERSID: _Reader.load_binpersid,
        pickle.APPEND: _Reader.load_append,
        pickle.APPENDS: _Reader.load_appends,
        pickle.SETITEM: _Reader.load_setitem,
        pickle.SETITEMS: _Reader.load_setitems,
        pickle.ADDITEMS: _Reader.load_additems,
    }
    return {**table, **{code[0]: function for code, function in acting.items()}}


_Reader.dispatch = _dispatch()


class _Skipper(_Reader):
    """Follows a pickle to its end without building anything that has a name."""

    def find_class(self, module: str, name: str) -> Any:
        return f"{module}.{name}"

    def load_build(self) -> None:
        self.stack.pop()

    def _called(self, what: Any, args: Any) -> Any:
        return Unknown()


_skipping: Any = _Skipper.load_build
_Skipper.dispatch = {**_Reader.dispatch, pickle.BUILD[0]: _skipping}


def _key(key: Any) -> Any:
    """Return a key of which a hash takes no time: tuples within tuples can make one take ages."""
    if isinstance(key, tuple) and any(isinstance(part, tuple) for part in key):
        raise pickle.UnpicklingError("a key is a tuple with tuples in it")
    return key


# --- names of Python, NumPy and MMEngine ---------------------------------------------------------


def _ordered(pairs: Any = None) -> OrderedDict[Any, Any]:
    if pairs is not None and type(pairs) is not list:
        raise NotAllowedError("collections.OrderedDict of more than pairs")
    return OrderedDict((_key(key), value) for key, value in pairs or ())


def _counter(counts: Any = None) -> Counter[Any]:
    if counts is not None and type(counts) is not dict:
        raise NotAllowedError("collections.Counter of more than counts")
    return Counter(counts)


def _set(items: Any = None) -> set[Any]:
    if type(items) is not list:
        raise NotAllowedError("set of more than a list")
    return {_key(item) for item in items}


def _complex(real: Any, imaginary: Any) -> complex:
    if type(real) is not float or type(imaginary) is not float:
        raise NotAllowedError("complex of more than two numbers")
    return complex(real, imaginary)


def _encode(text: Any, encoding: Any) -> bytes:
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise NotAllowedError("_codecs.encode of more than bytes")
    return text.encode("latin-1")


def _no_bytes() -> bytes:
    return b""  # how protocol 2 writes them, in the state of an array without values


def _bytearray(content: Any = b"", encoding: Any = "latin-1") -> bytearray:
    # Given a number, Python would make as many bytes.
    return bytearray(content if type(content) is bytes else _encode(content, encoding))


@dataclass(frozen=True)
class Named(StandIn):
    """What a file may name, but not call."""

    stands_for: str


_CALLED: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered,
    "collections.Counter": _counter,
    "builtins.set": _set,
    "builtins.complex": _complex,
    "builtins.bytearray": _bytearray,
    "builtins.bytes": _no_bytes,
    "_codecs.encode": _encode,
    HISTORY: IgnoredLog,
    **numpy_stand_ins(),
}


def _own_names() -> dict[str, Any]:
    made: dict[str, Any] = {name: Known(name, function) for name, function in _CALLED.items()}
    made |= {name: Named(name) for name in (ONE_CYCLE, PlainArray.stands_for)}
    unread = {owner: dict.fromkeys(names) for owner, names in METHODS.items()}
    method = method_of([(made[owner], methods) for owner, methods in unread.items()])
    # Newer protocols write a method as one name.
    dotted = {f"{owner}.{name}": None for owner, names in METHODS.items() for name in names}
    return {**made, GETATTR: Known("getattr", method), **dotted}


_OWN = _own_names()


# --- state ---------------------------------------------------------------------------------------


def _versions(state_dict: OrderedDict[Any, Any], state: Any) -> None:
    """Take the versions of layers, which torch keeps beside the weights, and nothing else."""
    versions = state.get("_metadata") if isinstance(state, Mapping) else None
    if isinstance(versions, Mapping):
        plain = {n: dict(v) for n, v in versions.items() if type(n) is str and _is_version(v)}
        state_dict._metadata = OrderedDict(plain)  # type: ignore[attr-defined]


def _is_version(value: Any) -> bool:
    plain = (int, str, float, bool, type(None))
    return isinstance(value, Mapping) and all(type(part) in plain for part in value.values())


def _ignore(value: Any, state: Any) -> None:
    """Leave a value as it is."""


#: How a value of each type takes its state; no other type does.
_STATES: dict[type[Any], Callable[[Any, Any], None]] = {
    OrderedDict: _versions,
    PlainArray: fill,
    PlainDtype: PlainDtype.__setstate__,
    IgnoredLog: _ignore,
    Unknown: _ignore,
}

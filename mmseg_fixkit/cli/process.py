"""The process around a verb: its streams, Ctrl-C, and the code that it ends with."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from types import FrameType
from typing import Any, Callable, Optional, TextIO

from mmseg_fixkit.cli import console
from mmseg_fixkit.core.errors import OUTER, FixkitError, sentence

#: What the process ends with where it could not do what was asked.
FAILED = 2
#: What shells report of a program that Ctrl-C ended.
INTERRUPTED = 130

#: Seconds after which a Ctrl-C comes again that came where Python lets no exception out.
_AGAIN = 0.02


def run(command: Callable[[], Optional[int]]) -> int:
    """Run a command, and return the exit code of the process.

    Whatever keeps it from its result is one line on stderr, and 2; Ctrl-C is one, and 130.
    """
    output = _own_streams()
    ctrl_c = _CtrlC()
    try:
        code, problem = _outcome(command)
    except KeyboardInterrupt:  # in the few lines there that are outside of their own block
        code, problem = INTERRUPTED, ""
    except Exception:  # a library may make it another one; else it is a fault of the program
        code, problem = FAILED, ""  # not 1, which says that something was found
        if not ctrl_c.pressed:
            sys.excepthook(*sys.exc_info())
    ctrl_c.end()
    if ctrl_c.pressed:
        code, problem = INTERRUPTED, "stopped by Ctrl-C, so nothing is reported"
    elif output is not None and output.failure is not None:
        code, problem = FAILED, f"standard output cannot be written: {_reason(output.failure)}"
    if problem:
        console.error(problem, lines=True)
    return code


def _outcome(command: Callable[[], Optional[int]]) -> tuple[int, str]:
    """Return the exit code of a command, and what there is to say of it.

    What was raised is gone when this returns, and with it all that was under way: the temporary
    files of a generator, for one.
    """
    try:
        code = _code(command)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code, ""
    except KeyboardInterrupt:
        return INTERRUPTED, ""
    except SystemExit:  # of standard output, which knows why
        return FAILED, ""
    except FixkitError as error:
        return FAILED, str(error)
    except OUTER as error:
        return FAILED, sentence(error)


def _code(command: Callable[[], Optional[int]]) -> int:
    try:
        return command() or 0
    except SystemExit as done:
        if done.code is None or isinstance(done.code, int):
            return done.code or 0
        raise FixkitError(str(done.code)) from None


def _reason(failure: OSError) -> str:
    return "it is closed" if failure.errno == errno.EBADF else str(failure.strerror)


# --- Ctrl-C ---------------------------------------------------------------------------------------


class _CtrlC:
    """Raises ``KeyboardInterrupt`` as Python does, and knows it where others lose or replace it."""

    def __init__(self) -> None:
        self.pressed = False
        self._heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._heeded:  # else a shell has it ignored, for what runs in the background
            signal.signal(signal.SIGINT, self._stop)
            signal.signal(signal.SIGALRM, self._stop)
            sys.unraisablehook = self._lost

    def _stop(self, number: int, frame: Optional[FrameType]) -> None:
        self.pressed = True
        raise KeyboardInterrupt

    def _lost(self, lost: Any) -> None:
        """Let it come again where Python only prints what is raised: in a ``__del__``, for one."""
        if issubclass(lost.exc_type, KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)
        else:
            sys.__unraisablehook__(lost)

    def end(self) -> None:
        """Heed it no longer: what was to be done is done, and only its code is left to return."""
        if self._heeded:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGALRM, signal.SIG_IGN)


# --- streams --------------------------------------------------------------------------------------


class _Output(io.FileIO):
    """Standard output: what cannot be written ends the program, whoever writes."""

    failure: Optional[OSError] = None

    def write(self, data: Any, /) -> Any:
        if self.failure is None:
            try:
                return super().write(data)
            except OSError as error:
                self.failure = error
                # Not an Exception: loggers and libraries catch those, and go on.
                raise SystemExit(FAILED) from None
        return len(data)


class _Errors(io.FileIO):
    """Standard error: what cannot be written is lost, and changes nothing."""

    def write(self, data: Any, /) -> Any:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def _own_streams() -> Optional[_Output]:
    """Take the streams of the process in hand; return what it writes to, if that is its own.

    A descriptor that is closed would be given to the next file that is opened, and what is printed
    would go there. Names whose bytes are no text in the encoding of a terminal are escaped.
    """
    _fill_descriptors()
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)))
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(_Errors(2, "w", closefd=False), sys.stderr)
    if sys.stdout is not sys.__stdout__:
        return None
    output = _Output(1, "w", closefd=False)
    sys.stdout = _text(output, sys.stdout)
    return output


def _fill_descriptors() -> None:
    """Open descriptors that are closed: for reading, so that writing still fails."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)


def _text(raw: io.FileIO, before: Optional[TextIO]) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(before, "encoding", None) or "utf-8",
        errors="backslashreplace",
        line_buffering=getattr(before, "line_buffering", False),
        write_through=getattr(before, "write_through", False),
    )

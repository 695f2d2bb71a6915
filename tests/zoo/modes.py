"""The ways in which a patch is written, and read back as MMSegmentation's own tools read it.

Another way is another row of :data:`MODES`.
"""

from __future__ import annotations

import atexit
import shlex
import shutil
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Callable, Optional

from mmengine.config import Config, DictAction

from mmseg_fixkit import FixkitError, patch
from mmseg_fixkit.apis.patch import Patch
from mmseg_fixkit.config.text_edits import RUNNER_KEYS
from tests.zoo.configs import ROOT

#: How configs are patched, as a reader reads ``--num-classes``.
COUNTS = (1, 2, 7, 171)


#: Variables that an overlay writes for several datasets; nothing else reads them.
HELPERS = frozenset({"train_pipeline", "val_pipeline", "test_pipeline", "metainfo", "own_metainfo"})


@dataclass(frozen=True)
class Written:
    """A patch, and what MMEngine reads from the file it was written to.

    Args:
        patch: what was planned.
        config: as MMEngine reads it; None where the patch cannot be written that way.
        said: why it cannot.
        guards: whether the patch was asked for the guards.
        variables: top-level names that only the file itself reads, and that may change.
    """

    patch: Patch
    config: Optional[Any] = None
    said: str = ""
    guards: bool = True
    variables: frozenset[str] = HELPERS


@dataclass(frozen=True)
class Mode:
    """One way to write.

    Args:
        name: of the way, as the documentation calls it.
        write: patches a config to a number of classes, writes into a folder and reads it back.
        counts: which of the asked-for counts it is tried with; all of them if there are none.
    """

    name: str
    write: Callable[[Path, int, Path], Written]
    counts: tuple[int, ...] = ()

    def of(self, counts: Iterable[int]) -> tuple[int, ...]:
        return tuple(count for count in counts if not self.counts or count in self.counts)


def read(path: Path) -> Any:
    """Read a config as the tools do; custom modules stay out, as some are not installed here."""
    return Config.fromfile(str(path), import_custom_modules=False)


def remember_metafiles() -> None:
    """Let this process read the index of the zoo's metafiles once.

    MMEngine reads all of it, 53 YAML files, for each ``mmseg::…`` in a ``_base_``.
    """
    from mmengine.config import utils

    if not hasattr(utils.load, "cache_info"):
        utils.load = cache(utils.load)


def _overlay(config: Path, count: int, folder: Path) -> Written:
    return _to_file(config, count, folder, "overlay")


def _flat(config: Path, count: int, folder: Path) -> Written:
    return _to_file(config, count, folder, "flat")


def _to_file(config: Path, count: int, folder: Path, mode: str) -> Written:
    planned = patch(config, count)
    output = folder / f"{config.stem}_{mode}_{count}.py"
    planned.write(output, mode)
    return Written(planned, read(output))


@cache
def _zoo_copy() -> Path:
    """Return a copy of the zoo whose files may be changed; it goes with this process."""
    folder = Path(tempfile.mkdtemp(prefix="zoo-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(shutil.copytree(ROOT, folder / "configs"))


def _in_place(config: Path, count: int, folder: Path) -> Written:
    """Change the text of a copy that inherits from the same files."""
    own = _zoo_copy() / config.relative_to(ROOT)
    text = own.read_bytes()
    try:
        planned = patch(own, count)
        planned.write_in_place()
        variables = frozenset(planned.plan.after.keys() - RUNNER_KEYS)
        return Written(planned, read(own), variables=variables)
    finally:
        own.write_bytes(text)  # others inherit from it


def _options(config: Path, count: int, folder: Path) -> Written:
    """Merge ``--cfg-options`` as ``tools/train.py`` does."""
    planned = patch(config, count, guards=False)
    try:
        line = planned.cfg_options()
    except FixkitError as error:
        return Written(planned, said=str(error), guards=False)
    parser = ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    loaded = read(config)
    loaded.merge_from_dict(parser.parse_args(shlex.split(line)).cfg_options)
    return Written(planned, loaded, guards=False)


MODES = (
    Mode("overlay", _overlay),
    Mode("flat", _flat, (7,)),
    Mode("in-place", _in_place, (7,)),
    Mode("cfg-options", _options, (7,)),
)

"""Files and folders -> a report of each config, read in parallel where it pays; their repair."""

from __future__ import annotations

import ast
import os
import pickle
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from mmseg_fixkit.apis.check import check
from mmseg_fixkit.config.inheritance import resolve_base
from mmseg_fixkit.config.load import find_config
from mmseg_fixkit.config.plan import may_apply
from mmseg_fixkit.config.source import ConfigSource
from mmseg_fixkit.core.diagnostics import Applicability, Diagnostic, Report, brief
from mmseg_fixkit.core.errors import OUTER, FixkitError, NotSegmentation, sentence
from mmseg_fixkit.core.files import exists, expanded, is_folder, real_path, why_no_file
from mmseg_fixkit.core.parallel import chunk_size, cores, each
from mmseg_fixkit.core.settings import TABLE, Settings, settings_for
from mmseg_fixkit.core.text import printable
from mmseg_fixkit.rules import select_rules

if TYPE_CHECKING:
    from mmseg_fixkit.apis.patch import Patch

#: Below that many configs, starting processes takes longer than one process takes for all.
PARALLEL_FROM = 40

#: A part of a config that configs inherit from; it need not be whole.
BASE_FOLDER = "_base_"

_CONFIG_LINE = re.compile(rb"(?:\A|[\r\n])(?:model|_base_)\b[^=\r\n]*=|read_base\s*\(")

_Codes = Optional[tuple[str, ...]]


@dataclass(frozen=True)
class CheckTarget:
    """One config to check."""

    config: str  # a path or a zoo name
    named: bool = True  # by the user: it has to be the config of a model then
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True)
class CheckResult:
    """A report, or the reason why there is none; neither for a file that was skipped."""

    config: str
    report: Optional[Report] = None
    error: str = ""

    @property
    def skipped(self) -> bool:
        """Whether the file is not the config of a model."""
        return self.report is None and not self.error


@dataclass(frozen=True)
class FoundConfigs:
    """The configs that names of files and folders mean."""

    targets: tuple[CheckTarget, ...]
    skipped: int = 0  # how many files were passed over
    unread: tuple[str, ...] = ()  # folders that cannot be read, and why


def find_targets(
    names: Sequence[str], select: _Codes = None, ignore: _Codes = None
) -> FoundConfigs:
    """Return the configs that ``names`` mean, each once, with the settings that hold for them.

    In a folder these are all ``*.py`` below it, sorted, that assign a ``model`` or inherit from
    something. Others are not run: a folder may hold scripts too.

    What the command line selects and ignores counts above the settings. Raises ``FixkitError``
    where settings cannot be read, or a code fits no rule.
    """
    named = {os.path.abspath(name) for name in names if not is_folder(name)}
    chosen: dict[str, CheckTarget] = {}
    passed: set[str] = set()
    unread: list[OSError] = []
    for name in names:
        for file in _python_files(name, unread) if is_folder(name) else (name,):
            place = os.path.abspath(file)
            if place in named or _is_config(file, name):
                chosen.setdefault(place, CheckTarget(file, place in named))
            else:
                passed.add(place)
    targets = (replace(t, settings=_settings(t.config, select, ignore)) for t in chosen.values())
    known = _with_known_codes(tuple(targets), select, ignore)
    return FoundConfigs(known, len(passed), tuple(map(sentence, unread)))


def _python_files(folder: str, unread: list[OSError]) -> Iterator[str]:
    """Yield the Python files below a folder; what is hidden and virtual environments left out."""
    for here, below, files in os.walk(folder, onerror=unread.append):
        below[:] = sorted(name for name in below if _is_open(os.path.join(here, name)))
        names = (name for name in sorted(files) if name.endswith(".py") and name[0] != ".")
        yield from (os.path.join(here, name) for name in names)


def _is_open(folder: str) -> bool:
    hidden = os.path.basename(folder).startswith(".")
    return not hidden and not exists(os.path.join(folder, "pyvenv.cfg"))


def _is_config(file: str, folder: str) -> bool:
    """Whether a file below ``folder`` looks like the config of a model, without running it."""
    if BASE_FOLDER in Path(file).relative_to(folder).parts[:-1]:
        return False
    if why_no_file(file):
        return True  # reading it says why it cannot be read
    try:
        source = Path(file).read_bytes()
    except OSError:
        return True
    return looks_like_config(source)


def looks_like_config(source: bytes) -> bool:
    """Whether the text of a file inherits from something, or assigns a ``model`` as configs do.

    ``model = build(…)`` is a script, which must not run; a file with a fault in its syntax is
    taken for a config, so that the fault is reported.
    """
    if not _CONFIG_LINE.search(source):
        return False
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True
    return any(_is_config_statement(node) for node in body)


def _is_config_statement(node: ast.stmt) -> bool:
    if isinstance(node, ast.With):
        return any("read_base" in ast.dump(item) for item in node.items)
    if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
        return False
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    names = {target.id for target in targets if isinstance(target, ast.Name)}
    return BASE_FOLDER in names or ("model" in names and not _builds(node.value))


def _builds(value: ast.expr) -> bool:
    """Whether an expression calls something that does not make a dict."""
    makers = ("dict", "copy", "deepcopy", "ConfigDict")
    name = getattr(value, "func", None)
    called = name.attr if isinstance(name, ast.Attribute) else getattr(name, "id", "")
    return isinstance(value, ast.Call) and called not in makers


def _settings(config: str, select: _Codes, ignore: _Codes) -> Settings:
    place = Path.cwd() if "::" in config else expanded(config).parent
    return settings_for(place).under(select, ignore)


def _with_known_codes(
    targets: tuple[CheckTarget, ...], select: _Codes, ignore: _Codes
) -> tuple[CheckTarget, ...]:
    """Return ``targets`` if every code in force fits a rule; else say who wrote it."""
    select_rules(select, ignore)
    written = {t.settings.file: t.settings for t in targets}
    for file, settings in written.items():
        keys = {"select": (settings.select, None), "ignore": (None, settings.ignore)}
        for key, codes in keys.items():
            try:
                select_rules(*codes)
            except FixkitError as error:
                raise FixkitError(f"{file}: {TABLE}.{key}: {error}") from None
    return targets


def check_all(targets: Sequence[CheckTarget], jobs: Optional[int] = None) -> Iterator[CheckResult]:
    """Check configs and yield what came of each, in their order.

    Without ``jobs``, there is a process for each core if there are more than
    :data:`PARALLEL_FROM` configs, else this one alone.
    """
    processes = min(jobs or default_jobs(len(targets)), len(targets))
    if processes <= 1:
        return map(check_one, targets)
    size = chunk_size(len(targets), processes)
    return each(_check_for_another_process, targets, processes, "processes", _crashed, size)


def default_jobs(configs: int) -> int:
    """Return how many processes pay for that many configs."""
    return cores() if configs > PARALLEL_FROM else 1


def check_one(target: CheckTarget) -> CheckResult:
    """Check one config; whatever is wrong with it becomes the outcome's text."""
    settings = target.settings
    try:
        # Configs are programs, and may print; but stdout is for the result.
        with redirect_stdout(sys.stderr):
            report = check(target.config, select=settings.select, ignore=settings.ignore)
    except NotSegmentation as error:
        return CheckResult(target.config, error=str(error) if target.named else "")
    except (FixkitError, *OUTER) as error:
        return CheckResult(target.config, error=sentence(error))
    return CheckResult(target.config, report)


def _check_for_another_process(target: CheckTarget) -> CheckResult:
    return portable(check_one(target))


def _crashed(target: CheckTarget) -> CheckResult:
    text = f"{target.config} ends the process that reads it; nothing is known of what it holds"
    return CheckResult(target.config, error=printable(text))


def portable(outcome: CheckResult) -> CheckResult:
    """Return an outcome that can leave its process.

    A config may hold anything, a function for one: what cannot travel is replaced by its text.
    """
    report = outcome.report
    if report is None or _travels(outcome):
        return outcome
    found = tuple(d if _travels(d) else _as_text(d) for d in report.diagnostics)
    return replace(outcome, report=replace(report, diagnostics=found))


def _travels(value: object) -> bool:
    try:
        pickle.dumps(value)
    except Exception:  # what a foreign object's pickling raises is its own affair
        return False
    return True


def _as_text(diagnostic: Diagnostic) -> Diagnostic:
    return replace(
        diagnostic, found=brief(diagnostic.found), expected=brief(diagnostic.expected), fix=None
    )


def nothing_checked(names: Iterable[str], skipped: int) -> FixkitError:
    """Return what to say where no config was found at all."""
    passed = f" ({skipped} Python files there are not)" if skipped else ""
    return FixkitError(
        f"nothing was checked: there is no config of a model in {', '.join(names)}{passed}; give "
        "config files, or a folder that has some"
    )


# --- repairs, bases first -----------------------------------------------------------------------


@dataclass(frozen=True)
class FixResult:
    """What came of one config."""

    outcome: CheckResult  # what is found in it now
    changes: int = 0  # findings that are repaired
    diff: str = ""  # where the change was only asked for


def repair_all(
    targets: Sequence[CheckTarget], outcomes: Iterable[CheckResult], *, unsafe: bool, write: bool
) -> list[FixResult]:
    """Repair what was found, and return what became of each config, in their order.

    A config that another one inherits from comes first: what is repaired there needs no repair
    below. ``unsafe`` fixes, which change what is learned, are made if asked for; without ``write``
    the change is only shown.
    """
    minimum = Applicability.UNSAFE if unsafe else Applicability.SAFE
    results = [FixResult(outcome) for outcome in outcomes]
    faulty = [i for i, r in enumerate(results) if _repairable(r.outcome.report, minimum)]
    for index in sorted(faulty, key=lambda i: _depth(targets[i].config)):
        results[index] = _repaired(targets[index], unsafe, write)
    return results


def _repairable(report: Optional[Report], minimum: Applicability) -> bool:
    return report is not None and any(may_apply(d, minimum) for d in report.diagnostics)


def _repaired(target: CheckTarget, unsafe: bool, write: bool) -> FixResult:
    from mmseg_fixkit.apis.patch import repair

    settings = target.settings
    try:
        with redirect_stdout(sys.stderr):  # configs are programs, and may print
            planned = repair(
                target.config, select=settings.select, ignore=settings.ignore, unsafe=unsafe
            )
            if not write:
                return _shown(target, planned)
            planned.write_in_place()
    except (FixkitError, *OUTER) as error:
        return FixResult(CheckResult(target.config, error=sentence(error)))
    return FixResult(check_one(target), len(planned.plan.applied))


def _shown(target: CheckTarget, planned: Patch) -> FixResult:
    left = Report(target.config, planned.labels, planned.plan.remaining, planned.notes)
    diff = planned.text_diff()
    return FixResult(CheckResult(target.config, left), len(planned.plan.applied), diff)


def _depth(config: str) -> int:
    return _file_depth(real_path(find_config(config)))


@cache
def _file_depth(path: Path) -> int:
    """Return how many files stand above ``path`` in the longest line that it inherits from."""
    return max(_depths(ConfigSource(path, resolve_base)), default=0)


def _depths(source: ConfigSource) -> Iterator[int]:
    for base in source.bases:
        yield 1 + max(_depths(base), default=0)

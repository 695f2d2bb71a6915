"""Path, zoo name or ``Config`` -> :class:`~mmseg_fixkit.config.document.ConfigDocument`."""

from __future__ import annotations

import ast
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from mmseg_fixkit.config import host
from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.host import HeadKind, type_name
from mmseg_fixkit.config.inheritance import Inheritance, inheritance
from mmseg_fixkit.config.tree import Imported, nesting, plain
from mmseg_fixkit.config.yaml_file import mmengine_reads_data, yaml_fault
from mmseg_fixkit.core.compat import has
from mmseg_fixkit.core.errors import FixkitError, NotSegmentation
from mmseg_fixkit.core.files import expanded, is_file, is_folder, why_no_file

if TYPE_CHECKING:
    from mmengine import Config

ConfigLike = Union[str, Path, "Config"]

#: How deep lists and dicts may stand in each other; rules walk them by recursion.
MAX_NESTING = 100


def load(config: ConfigLike) -> ConfigDocument:
    """Load a config. Its Python code runs; the modules in ``custom_imports`` are not imported.

    Args:
        config: a path, a zoo name such as ``mmseg::pspnet/….py``, or a ``mmengine.Config``.

    Raises:
        NotSegmentation: it is not the config of a segmentation model.
        FixkitError: no such file, not a config that can be read, or one of MMSegmentation 0.x.
    """
    if not isinstance(config, (str, Path)):
        path = Path(config.filename) if config.filename else None
        name = str(path or "Config")
    else:
        path = find_config(str(config))
        name = str(config)
        config = from_file(path)
    tree = _not_too_deep(name, config)
    document = ConfigDocument(name, tree, path, _new_style(config))
    _refuse_others(document)
    return document


def _not_too_deep(name: str, config: Config) -> dict[str, Any]:
    with suppress(RecursionError):
        tree = _tree(config)
        if nesting(tree, MAX_NESTING) <= MAX_NESTING:
            return tree
    raise FixkitError(
        f"{name} has lists and dicts more than {MAX_NESTING} deep in each other; no part of a "
        "model or a dataset takes such a value"
    )


def find_config(name: str) -> Path:
    """Return the file that ``name`` means.

    Raises:
        FixkitError: there is no such file, or it is a folder.
    """
    if "::" in name:
        return host.zoo_path(name)
    path = expanded(name)
    if is_folder(path):
        raise FixkitError(f"{name} is a folder, but a config file (.py) is needed")
    if why := why_no_file(path):
        raise FixkitError(f"{name}: {why}{_zoo_hint(path)}")
    return path


def _zoo_hint(path: Path) -> str:
    root = host.package_path()
    stem = path.name if path.suffix == ".py" else f"{path.name}.py"
    folders = root.glob(".mim/configs/*") if root and path.name == str(path) else ()
    found = sorted(folder.name for folder in folders if is_file(folder / stem))
    return f"; the zoo has it as mmseg::{found[0]}/{stem}" if found else ""


def _new_style(config: Config) -> bool:
    return bool(getattr(config, "_imported_names", ()))


def _tree(config: Config) -> dict[str, Any]:
    tree: dict[str, Any]
    tree = _named(config._to_lazy_dict()) if _new_style(config) else plain(config._cfg_dict)
    return tree


def _named(value: Any) -> Any:
    """Replace what a new-style config imports by its dotted name; nothing is imported."""
    if isinstance(value, dict):
        return {key: _named(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_named(child) for child in value)
    # LazyObject and LazyAttr of MMEngine, which answer to any attribute.
    if type(value).__name__ in ("LazyObject", "LazyAttr"):
        return Imported(f"{value.module}.{value}")
    return value


def from_file(path: Path) -> Config:
    """Read a config with MMEngine, without the modules in its ``custom_imports``.

    Raises:
        FixkitError: it cannot be read, or MMEngine is not installed.
    """
    try:
        from mmengine.config import Config
    except ModuleNotFoundError as error:
        raise FixkitError(f"{error}. {host.NO_STACK}") from None
    files = inheritance(path)
    # MMEngine parses each file twice only to learn whether it is new-style; one that imports
    # nothing is not.
    old_style = files.known and not files.imports and has("read_base")
    lazy_import = {"lazy_import": False} if old_style else {}
    try:
        with warnings.catch_warnings(), mmengine_reads_data():
            # Deprecations inside the host are none of the reader's business here.
            warnings.simplefilter("ignore")
            return Config.fromfile(str(path), import_custom_modules=False, **lazy_import)
    except Exception as error:  # the file is the user's program: anything can come out of it
        raise FixkitError(_reading_failed(path, files, error)) from error
    except SystemExit as error:
        raise FixkitError(
            f"{path} ends the process that reads it (sys.exit({error.code!r})); nothing is known "
            "of what it holds"
        ) from None


#: What is said of the errors that reading a config ends in.
_FAULTS: tuple[tuple[type[Exception], str], ...] = (
    (FileNotFoundError, "names a base or another file that is not there"),
    (OSError, "is not a config"),
    (UnicodeError, "is not text in UTF-8, or one of its bases is not"),
    (RecursionError, "has something in itself, or too deep for MMEngine"),
)


def _reading_failed(path: Path, files: Inheritance, error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return _syntax_fault(path, files, error)
    if isinstance(error, ModuleNotFoundError) and error.name == "pkg_resources":
        return (
            f"{path} inherits from a `package::` name, for which this MMEngine needs "
            "pkg_resources; run: pip install 'setuptools<81'"
        )
    if isinstance(error, ImportError) and "read_base" in str(error) and not has("read_base"):
        return (
            f"{path} is a new-style config (`with read_base():`), which needs MMEngine 0.8 or newer"
        )
    if type(error).__module__.partition(".")[0] == "yaml":
        return f"{path}, or a file that it inherits from, {yaml_fault(error)}"
    for kind, words in _FAULTS:
        if isinstance(error, kind):
            return f"{path} {words}: {error}"
    return f"{path} fails when MMEngine runs it: {type(error).__name__}: {error}"


def _syntax_fault(path: Path, files: Inheritance, error: SyntaxError) -> str:
    """Name the file and line of a fault: MMEngine names the copy that it has put variables into."""
    cause = error.__context__ if isinstance(error.__context__, SyntaxError) else error
    for file in (f for f in files.files if f.suffix == ".py"):
        try:
            ast.parse(file.read_text(encoding="utf-8"))
        except SyntaxError as own:
            if (own.lineno, own.msg) == (cause.lineno, cause.msg):
                shown = path if file == files.files[0] else file
                return f"{shown} is not a Python config: line {own.lineno}: {own.msg}"
        except (OSError, ValueError, RecursionError, MemoryError):
            continue
    return f"{path} is not a Python config: line {cause.lineno}: {cause.msg}"


def _refuse_others(document: ConfigDocument) -> None:
    tree, name = document.tree, document.name
    data = tree.get("data")
    if isinstance(data, dict) and "train_dataloader" not in tree:
        raise FixkitError(
            f"{name} is written for MMSegmentation 0.x (`data = dict(train=…)`), but 1.x reads "
            "train_dataloader, val_dataloader and test_dataloader; move it to 1.x first, see the "
            "migration guide of MMSegmentation, or start from the config of the same name in the "
            "1.x zoo"
        )
    if not isinstance(tree.get("model"), dict):
        raise NotSegmentation(f"{name} is not the config of a model: it has no `model = dict(…)`")
    depth = [h for h in document.heads if h.spec.kind is HeadKind.DEPTH]
    if depth or type_name(tree["model"].get("type", "")) == "DepthEstimator":
        raise NotSegmentation(
            f"{name} estimates depth ({tree['model'].get('type')}), but depth has no classes, so "
            "there is nothing to check or patch"
        )

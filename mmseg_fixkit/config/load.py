"""Path, zoo name or ``Config`` -> :class:`~mmseg_fixkit.config.document.ConfigDocument`."""

from __future__ import annotations

import re
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from mmseg_fixkit.config import host
from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.host import HeadKind, type_name
from mmseg_fixkit.config.tree import Imported, plain
from mmseg_fixkit.core.errors import FixkitError, NotSegmentation

if TYPE_CHECKING:
    from mmengine import Config

ConfigLike = Union[str, Path, "Config"]

#: A line without which no config is new-style to MMEngine.
_IMPORTING = re.compile(r"^\s*(?:import|from|with)\b", re.M)


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
    document = ConfigDocument(name, _tree(config), path, _new_style(config))
    _refuse_others(document)
    return document


def find_config(name: str) -> Path:
    """Return the file that ``name`` means.

    Raises:
        FixkitError: there is no such file, or it is a folder.
    """
    if "::" in name:
        return host.zoo_path(name)
    path = Path(name).expanduser()
    if path.is_dir():
        raise FixkitError(f"{name} is a folder, but a config file (.py) is needed")
    if not path.is_file():
        raise FixkitError(f"{name}: there is no such file{_zoo_hint(path)}")
    return path


def _zoo_hint(path: Path) -> str:
    root = host.package_path()
    stem = path.name if path.suffix == ".py" else f"{path.name}.py"
    found = sorted(root.glob(f".mim/configs/*/{stem}")) if root and path.name == str(path) else []
    return f"; the zoo has it as mmseg::{found[0].parent.name}/{stem}" if found else ""


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
    try:
        with warnings.catch_warnings():
            # Deprecations inside the host are none of the reader's business here.
            warnings.simplefilter("ignore")
            return _fastest(Config, str(path))
    except Exception as error:  # the file is the user's program: anything can come out of it
        raise FixkitError(_reading_failed(path, error)) from error
    except SystemExit as error:
        raise FixkitError(
            f"{path} ends the process that reads it (sys.exit({error.code!r})); nothing is known "
            "of what it holds"
        ) from None


def _fastest(config_type: type[Config], path: str) -> Config:
    """Read a config as ``Config.fromfile`` does.

    MMEngine parses each file twice only to learn whether it is new-style; a file that imports
    nothing is not.
    """
    with open(path, encoding="utf-8") as file:
        old_style = path.endswith(".py") and not _IMPORTING.search(file.read())
    if old_style:
        with suppress(Exception):  # what is wrong, MMEngine says below as it does in training
            config = config_type.fromfile(path, import_custom_modules=False, lazy_import=False)
            if not _IMPORTING.search(config.text):  # the text of its bases too
                return config
    return config_type.fromfile(path, import_custom_modules=False)


def _reading_failed(path: Path, error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f"{path} is not a Python config: line {error.lineno}: {error.msg}"
    if isinstance(error, FileNotFoundError):
        return f"{path} names a base or another file that is not there: {error}"
    if isinstance(error, ModuleNotFoundError) and error.name == "pkg_resources":
        return (
            f"{path} inherits from a `package::` name, for which this MMEngine needs "
            "pkg_resources; run: pip install 'setuptools<81'"
        )
    if isinstance(error, OSError):
        return f"{path} is not a config: {error}"
    return f"{path} fails when MMEngine runs it: {type(error).__name__}: {error}"


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

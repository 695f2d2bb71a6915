"""The parts are known to MMEngine by name, however and whenever the package is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

BUILD = (
    "from mmengine.registry import HOOKS, TRANSFORMS, DefaultScope\n"
    "print(type(HOOKS.build(dict(type='ClassCountHook'))).__name__,"
    " type(HOOKS.build(dict(type='HeadAdaptHook'))).__name__,"
    " type(TRANSFORMS.build(dict(type='AssertLabelBounds', num_classes=8))).__name__)\n"
)
IN_SCOPE = (
    "from mmseg.registry import HOOKS as H, TRANSFORMS as T\n"
    "print(type(H.build(dict(type='ClassCountHook'))).__name__,"
    " type(T.build(dict(type='AssertLabelBounds', num_classes=8))).__name__)\n"
)


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "importing",
    [
        "import mmseg_fixkit",
        "import mmengine, mmseg_fixkit",
        "import mmseg_fixkit.runtime",
        "import mmengine.registry, mmseg_fixkit.runtime",
        "from mmengine.utils import import_modules_from_strings as i\ni(['mmseg_fixkit'])",
        "from mmengine.utils import import_modules_from_strings as i\ni(['mmseg_fixkit.runtime'])",
        "import mmseg_fixkit\nfrom mmseg_fixkit import patch, LabelSpace",
        "import mmseg_fixkit, mmseg_fixkit.runtime, importlib\nimportlib.reload(mmseg_fixkit)",
    ],
)
def test_the_parts_are_built_by_name(importing: str) -> None:
    out = python(f"{importing}\n{BUILD}{IN_SCOPE}")
    # The host may have something of its own to print on import.
    assert [line for line in out.splitlines() if "Hook" in line] == [
        "ClassCountHook HeadAdaptHook AssertLabelBounds",
        "ClassCountHook AssertLabelBounds",
    ]


def test_the_import_is_light_and_leaves_no_finder_behind() -> None:
    out = python(
        "import sys, mmseg_fixkit\n"
        "print({'mmengine', 'torch', 'numpy', 'rich', 'typer'} & set(sys.modules))\n"
        "from mmseg_fixkit.core.registration import RegistryImportHook as hook\n"
        "def ours(): return sum(isinstance(finder, hook) for finder in sys.meta_path)\n"
        "before = ours()\n"
        "import mmengine.registry\n"
        "print(before, ours(), 'torch' in sys.modules)\n"
    )
    assert out.splitlines() == ["set()", "1 0 False"]


def test_an_own_part_of_the_same_name_is_not_replaced() -> None:
    out = python(
        "from mmengine.registry import HOOKS\n"
        "from mmengine.hooks import Hook\n"
        "class ClassCountHook(Hook): pass\n"
        "HOOKS.register_module()(ClassCountHook)\n"
        "import mmseg_fixkit\n"
        "print(HOOKS.get('ClassCountHook') is ClassCountHook)\n"
    )
    assert out == "True"


def test_public_names() -> None:
    import mmseg_fixkit

    for name in mmseg_fixkit.__all__:
        assert getattr(mmseg_fixkit, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        mmseg_fixkit.nonsense  # noqa: B018

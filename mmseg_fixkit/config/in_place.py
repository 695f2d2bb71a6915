"""FixPlan -> a config's own text, changed until loading it gives the planned config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.lazy_import import comparable
from mmseg_fixkit.config.load import load
from mmseg_fixkit.config.overlay import Rendered
from mmseg_fixkit.config.plan import FixPlan
from mmseg_fixkit.config.text_edits import RUNNER_KEYS, edited
from mmseg_fixkit.config.tree import differences, same
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import real_path, temporary_next_to, writing

#: How often a file's own text is changed and loaded again; one pass is enough for most.
MAX_PASSES = 4


def render_in_place(document: ConfigDocument, plan: FixPlan) -> Rendered:
    """Change the text of the config's own file; the files it inherits from stay as they are.

    Raises:
        FixkitError: the config has no file, belongs to an installed package, was changed since it
            was loaded, or says a value in a way that cannot be changed in its text.
    """
    path = _own_file(document)
    text = path.read_bytes()
    new_style = document.new_style
    tree = comparable(load(path).loaded, new_style)
    before, target = (comparable(t, new_style) for t in (plan.before, plan.after))
    if not same(tree, before):
        raise FixkitError(
            f"{path} is not what was loaded: the config was changed in Python, or the file since; "
            "give another file"
        )
    variables = {n for n in before if n not in RUNNER_KEYS and same(before[n], target.get(n))}
    for _ in range(MAX_PASSES):
        if not any(differences(tree, target)):
            break
        text = edited(text, tree, target, new_style)
        tree = _loaded(text, path, new_style)
        # A variable that is changed where it is assigned is no longer what it was.
        target = {**target, **{name: tree[name] for name in variables if name in tree}}
    return Rendered(text.decode("utf-8"), target)


def _loaded(text: bytes, path: Path, new_style: bool) -> dict[str, Any]:
    with writing(path), temporary_next_to(path, text) as file:
        return comparable(load(file).loaded, new_style)


def _own_file(document: ConfigDocument) -> Path:
    if document.path is None:
        raise FixkitError("this config was made in Python and has no file to change; use flat")
    real = real_path(document.path)
    if "site-packages" in real.parts or "dist-packages" in real.parts:
        raise FixkitError(
            f"{document.name} belongs to an installed package ({real}), which is not changed in "
            "place; write a file of your own with -o"
        )
    return document.path  # by which it was loaded: a link inherits from what is around the link

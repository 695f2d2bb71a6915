"""FixPlan -> the whole config in one file."""

from __future__ import annotations

from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.lazy_import import import_lines, local_names, qualified, with_names
from mmseg_fixkit.config.overlay import Rendered, assignment
from mmseg_fixkit.config.plan import FixPlan


def render_flat(document: ConfigDocument, plan: FixPlan) -> Rendered:
    """Write the whole config into one file that inherits from none."""
    tree = plan.after
    lines = [f"# {document.name}, flattened by mmseg-fix."]
    names: dict[str, str] = {}
    if document.new_style:
        tree = qualified(tree)
        names = local_names(tree.values(), {}, tree)
        lines += import_lines(names)
    lines += [assignment(name, with_names(value, names), {}) for name, value in tree.items()]
    return Rendered("\n".join(lines) + "\n", dict(tree))

"""``mmseg-fix rule``."""

from __future__ import annotations

from typing import Optional

import typer

from mmseg_fixkit.errors import FixkitError


def rule(
    code: Optional[str] = typer.Argument(None, help="A code such as MSF101, or a rule's name."),
    every: bool = typer.Option(False, "--all", help="Show all rules."),
) -> None:
    """Explain a rule: what it does, why it is bad, an example, and what to write instead."""
    from mmseg_fixkit.cli.console import markdown
    from mmseg_fixkit.registry import all_rules, find_rule
    from mmseg_fixkit.rules import Context  # noqa: F401 - registers the rules

    if every == (code is not None):
        raise FixkitError("give a rule's code, or --all; `mmseg-fix rule MSF101` is an example")
    chosen = all_rules() if every else (find_rule(code or ""),)
    markdown("\n".join(r.page() for r in chosen))

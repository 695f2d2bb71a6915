"""``mmseg-fix rule``."""

from __future__ import annotations

from typing import Optional

import click

from mmseg_fixkit.cli import console
from mmseg_fixkit.core.errors import FixkitError


@click.command()
@click.argument("code", required=False)
@click.option("--all", "every", is_flag=True, help="Show all rules.")
def rule(code: Optional[str], every: bool) -> None:
    """Explain a rule.

    What it finds, why that is bad, an example, and what to write instead. CODE is a code such as
    MSF101, or a rule's name.
    """
    from mmseg_fixkit.rules import all_rules, find_rule, index
    from mmseg_fixkit.rules.examples import base_section, base_sections

    if every == (code is not None):
        raise FixkitError("give a rule's code, or --all; `mmseg-fix rule MSF101` is an example")
    if every:
        pages = (r.page() for r in all_rules())
        console.markdown("\n".join((index(all_rules()), base_sections(), *pages)))
    else:
        found = find_rule(code or "")
        console.markdown(found.page() + base_section(found))

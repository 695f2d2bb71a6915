"""How the site is built: ``make docs``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parent.parent

project = "mmseg-fixkit"
author = "the authors of mmseg-fixkit"
release = re.findall(
    r'__version__ = "(.+)"', (_ROOT / "mmseg_fixkit" / "__init__.py").read_text("utf-8")
)[0]

extensions = ["myst_parser", "sphinx_copybutton"]
# README.md is the index for people who read on GitHub; index.md includes it.
exclude_patterns = ["README.md"]
myst_heading_anchors = 4
nitpicky = True
highlight_language = "none"  # blocks without a language are output
smartquotes = False  # quotes in messages and options are meant

html_theme = "furo"
html_title = f"mmseg-fixkit {release}"
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["wide.css"]
pygments_style = "friendly"
pygments_dark_style = "github-dark"
# What is copied from a console block: its commands, and neither prompt nor output.
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
copybutton_line_continuation_character = "\\"


#: Pages of the site whose text lies beside docs/, where GitHub looks for it.
_ABOVE = {"contributing": "CONTRIBUTING.md", "changelog": "CHANGELOG.md"}


def setup(app: Any) -> None:
    """Change the sources of pages where the site needs another form than GitHub."""
    app.connect("source-read", _whole_page)
    app.connect("source-read", _one_title)


def _whole_page(_: Any, name: str, source: list[str]) -> None:
    """Put in the text of a page that lies elsewhere, and link to where the site has it."""
    if name in _ABOVE:
        source[0] = (_ROOT / _ABOVE[name]).read_text("utf-8").replace("](docs/", "](")
    elif name == "index":
        text = (_ROOT / "docs" / "README.md").read_text("utf-8")
        source[0] = source[0].replace("```{include} README.md\n```", text)
    for page, file in _ABOVE.items():
        source[0] = re.sub(rf"\]\((?:\.\./)?{re.escape(file)}", f"]({page}.md", source[0])


def _one_title(_: Any, name: str, source: list[str]) -> None:
    """Take the page of the rules, one title a rule, as one page with a title of its own."""
    if name == "rules":
        index, first, rules = source[0].partition("\n# MSF")
        texts = re.split(r"(^```.*?^```)", first + rules, flags=re.M | re.S)
        texts[::2] = [re.sub(r"^#", "##", text, flags=re.M) for text in texts[::2]]
        source[0] = "\n".join(["---", "tocdepth: 2", "---", index + "".join(texts)])

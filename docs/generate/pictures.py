"""Draws the images of the documentation: ``python -m docs.generate.pictures docs/pictures``.

The recording is text, and the same on every machine; the page of the scan is photographed by
chromium, where there is one.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from PIL import Image
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from docs.generate.scene import MY_PSPNET
from mmseg_fixkit.cli import app
from mmseg_fixkit.demo.data import PALETTE, make_shapes

WIDTH = 112
THEME = TerminalTheme(
    (24, 26, 31),
    (214, 218, 226),
    [
        (24, 26, 31),
        (240, 98, 104),
        (126, 198, 122),
        (229, 192, 107),
        (97, 175, 239),
        (198, 140, 226),
        (86, 194, 206),
        (214, 218, 226),
    ],
)
#: Pattern -> style of a terminal that colours what is printed.
STYLES = {
    r"^\S+?:\d+:\d+:": "bold",
    r"\bMSF\d{3}\b": "bold red",
    r"\[\*\]": "cyan",
    r"^\+.*": "green",
    r"^-.*": "red",
    r"^@@.*": "cyan",
    r"^(Checked|Repaired|Would).*": "yellow",
    r"all right\.": "bold green",
}


def recording() -> str:
    """Return a terminal in which ``check --fix`` repairs a config, as SVG."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), highlight=False)
    for line in (
        "check my_pspnet.py",
        "check my_pspnet.py --diff",
        "check my_pspnet.py --fix",
    ):
        console.print(Text.assemble(("$ ", "cyan"), (f"mmseg-fix {line}", "bold")))
        for said in CliRunner().invoke(app, line.split()).output.splitlines():
            console.print(styled(said))
        console.print()
    svg = console.export_svg(title="mmseg-fix", theme=THEME, unique_id="mmseg-fix")
    # The fonts of the reader: nothing is fetched from the web.
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.S).replace(
        "Fira Code", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono"
    )


def styled(line: str) -> Text:
    text = Text(line)
    for pattern, style in STYLES.items():
        text.highlight_regex(pattern, style)
    return text


def scan_page(page: Path) -> None:
    """Write the page of a scan that has something to show, from files in the current folder."""
    data = make_shapes(Path("data/shapes"), classes=6, train=40, val=10, size=128)
    for number, shape, value in ((3, 4, 6), (11, 2, 6), (17, 5, 77)):
        file = Path(f"data/shapes/labels/train/train_{number:03}.png")
        label = np.array(Image.open(file))
        label[label == shape] = value
        Image.fromarray(label).save(file)
    colors = ";".join(",".join(map(str, color)) for color in PALETTE[:6])
    names = ",".join(data.classes)
    line = f"scan data/shapes --classes {names} --palette {colors} --no-cache --html"
    CliRunner().invoke(app, [*line.split(), str(page)])


def photograph(page: Path, picture: Path, size: tuple[int, int] = (1100, 1130)) -> None:
    """Take a screenshot of a page, and make it small."""
    options = ("--headless", "--no-sandbox", "--hide-scrollbars", "--force-device-scale-factor=1")
    window = f"--window-size={size[0]},{size[1]}"
    shot = f"--screenshot={picture}"
    command = [shutil.which("chromium") or "chromium", *options, window, shot, page.as_uri()]
    subprocess.run(command, check=True, capture_output=True)
    image = Image.open(picture).convert("RGB")
    image.quantize(128, dither=Image.Dither.NONE).save(picture, optimize=True)


def draw(folder: Path) -> None:
    """Write all images into ``folder``."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        os.chdir(made)
        Path("my_pspnet.py").write_text(MY_PSPNET)
        (folder / "check-fix.svg").write_text(recording())
        if shutil.which("chromium"):
            page = Path("scan.html").resolve()
            scan_page(page)
            photograph(page, folder / "scan.png")


if __name__ == "__main__":
    draw(Path(sys.argv[1]))

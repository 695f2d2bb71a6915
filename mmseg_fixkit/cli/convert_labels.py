"""``mmseg-fix convert-labels``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Optional

import click

from mmseg_fixkit.cli import console
from mmseg_fixkit.core.label_formats import FILE_PATTERN, FORMATS
from mmseg_fixkit.core.text import counted, printable

if TYPE_CHECKING:
    from mmseg_fixkit.apis.convert_labels import Converted

_PATH = click.Path(path_type=Path)


@click.command("convert-labels")
@click.argument("source", type=_PATH)
@click.option("-o", "--output", "out", metavar="DIR", type=_PATH, required=True, help="The folder.")
@click.option(
    "--from",
    "label_format",
    type=click.Choice(tuple(FORMATS)),
    required=True,
    help="What SOURCE holds: maps of bits, planes side by side (PaddleSeg), a file for each label, "
    "or a COCO JSON.",
)
@click.option(
    "--labels", metavar="A,B,C", required=True, help="The labels in the order of their bits."
)
@click.option(
    "--file-pattern",
    default=FILE_PATTERN,
    show_default=True,
    help="With --from files: what the file of a label is called; '{label}/{stem}.png' for a "
    "folder each.",
)
@click.option(
    "--values",
    type=click.Choice(["auto", "1", "255"]),
    default="auto",
    show_default=True,
    help="What planes are written with where a label is. With 1, 255 is an ignored pixel.",
)
@click.option("--missing-ok", is_flag=True, help="A label without a file is not in the image.")
@click.option(
    "--images", metavar="DIR", type=_PATH, help="The images, to compare sizes and planes with."
)
@click.option("--overwrite", is_flag=True, help="Replace files that have another content.")
@click.option("-j", "--jobs", type=click.IntRange(1), help="Processes (default: one a core).")
def convert_labels(
    source: Path,
    out: Path,
    label_format: str,
    labels: str,
    file_pattern: str,
    values: str,
    missing_ok: bool,
    images: Optional[Path],
    overwrite: bool,
    jobs: Optional[int],
) -> None:
    """Convert multi-label files to maps of bits.

    SOURCE is a folder, or the JSON of a COCO dataset. The results are grey PNGs whose bits are the
    labels (bits 0 to 6, then 8 and up; 255 is ignored). Every file is read back and compared before
    it is left in its place; files that are there already are left alone, so that a conversion that
    was stopped goes on. A file with a fault is named, and the others go on.

    Exit codes: 0 converted, 1 some files have faults, 2 nothing was converted.
    """
    from mmseg_fixkit.apis import convert_labels as convert

    with console.progress_bar("Converting") as show:
        done = convert.convert_labels(
            source,
            label_format,
            [name.strip() for name in labels.split(",")],
            out,
            file_pattern=file_pattern,
            values=values if values == "auto" else int(values),
            missing_ok=missing_ok,
            images=images,
            overwrite=overwrite,
            jobs=jobs,
            on_done=show,
        )
    _print_result(done, out)
    raise SystemExit(1 if done.faults else 0)


def _print_result(done: Converted, out: Path) -> None:
    for fault in done.faults:
        console.error(fault)
    for label, pixels in done.pixels.items():
        images = done.images_with(label)
        text = f"{label}: {counted(pixels, 'pixel')} in {counted(images, 'image')}"
        click.echo(printable(text))
    kept = f", {done.kept} were there already" if done.kept else ""
    click.echo(printable(f"wrote {counted(done.written, 'file')} to {out}{kept}"))

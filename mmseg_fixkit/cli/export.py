"""``mmseg-fix export``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import click

from mmseg_fixkit.cli import console
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.text import listed, printable

if TYPE_CHECKING:
    from mmseg_fixkit.apis.export import ExportReport


@click.command()
@click.argument("config")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("-o", "--output", "path", type=click.Path(path_type=Path), required=True)
@click.option(
    "--output-kind",
    type=click.Choice(["labels", "scores"]),
    default="labels",
    show_default=True,
    help="What the model gives: a class for each pixel (a mask for each label of a multi-label "
    "model), or a score for each class and pixel.",
)
@click.option(
    "--keep-background",
    is_flag=True,
    help="Keep the background channel of a multi-label model, which is dropped otherwise.",
)
@click.option("--size", metavar="HxW", help="Fix height and width, as some runtimes need.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it is there.")
@click.option(
    "--trust-checkpoint", is_flag=True, help="Let CHECKPOINT run whatever code stands in it."
)
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text")
def export(
    config: str,
    checkpoint: Path,
    path: Path,
    output_kind: str,
    keep_background: bool,
    size: Optional[str],
    overwrite: bool,
    trust_checkpoint: bool,
    output_format: str,
) -> None:
    """Write a model as an ONNX file that says what its classes are.

    The model is built and run by MMSegmentation: CONFIG and the modules that its custom_imports
    name are run. The file takes RGB images of 0 to 255 (the normalisation is part of it), of any
    size where the model allows. Before it is left in place, it is run by ONNX Runtime on image
    files and compared with what MMSegmentation's own inference gives for them; the names of the
    classes are in its metadata.

    Exit codes: 0 written, 2 not written.
    """
    shape = None if size is None else _size(size)
    report: ExportReport = _export()(
        config,
        checkpoint,
        path,
        output=output_kind,
        keep_background=keep_background,
        size=shape,
        overwrite=overwrite,
        trust=trust_checkpoint,
    )
    for text in report.notes:
        console.note(text)
    if output_format == "json":
        from mmseg_fixkit.cli.output.json import json_text

        click.echo(json_text(_record(report)), nl=False)
        return
    click.echo(_text(report))


def _export() -> Any:
    try:
        from mmseg_fixkit.apis.export import export as write
    except ModuleNotFoundError as error:
        from mmseg_fixkit.config.host import NO_STACK

        raise FixkitError(f"{error}. {NO_STACK}") from None
    return write


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)[x,](\d+)", text.strip().lower())
    if not match or not all(int(part) for part in match.groups()):
        raise FixkitError(f"--size is {text!r}, but height and width are needed, such as 512x1024")
    return int(match[1]), int(match[2])


def _text(report: ExportReport) -> str:
    spec = report.spec
    what = "apart in scores" if spec.output == "scores" else "of the pixels differ"
    sizes = listed(["x".join(map(str, size)) for size in report.compared])
    lines = [
        f"input   image {report.input_shape}, RGB of 0 to 255",
        f"output  {_shape(report)}",
        f"classes {', '.join(spec.classes)}",
        f"checked ONNX Runtime against MMSegmentation's inference of image files, {sizes}: at most "
        f"{report.difference:.2g} {what}",
        f"wrote {report.path}",
    ]
    return "\n".join(map(printable, lines))


def _shape(report: ExportReport) -> str:
    spec, count = report.spec, len(report.spec.classes)
    batch, size = report.input_shape.strip("()").split(", 3, ")
    if spec.output == "scores":
        channels = 1 if spec.task.value == "sigmoid" else count
        return f"scores ({batch}, {channels}, {size}), float32, by {spec.task.value}"
    if spec.task.value == "multi-label":
        return f"labels ({batch}, {count}, {size}), uint8: 1 where a label is"
    return f"labels ({batch}, {size}), uint8: a class for each pixel"


def _record(report: ExportReport) -> dict[str, Any]:
    spec = report.spec
    return {
        "file": str(report.path),
        "classes": list(spec.classes),
        "task": spec.task.value,
        "output": spec.output,
        "thresholds": list(spec.thresholds),
        "dynamic": report.dynamic,
        "size": list(report.size),
        "difference": report.difference,
        "tried": list(report.failed),
        "notes": list(report.notes),
    }

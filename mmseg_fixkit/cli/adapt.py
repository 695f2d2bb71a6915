"""``mmseg-fix adapt``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import click

from mmseg_fixkit.cli import console
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.text import printable

if TYPE_CHECKING:
    from mmseg_fixkit.checkpoint.report import AdaptReport

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("checkpoint", metavar="CKPT", type=_FILE)
@click.argument("config")
@click.option("-o", "--output", metavar="OUT", type=_FILE, help="The new file; .safetensors too.")
@click.option(
    "--map",
    "mapping",
    metavar="OLD=NEW,…",
    help="Classes under other names. Several old ones of one new are averaged.",
)
@click.option(
    "--old-classes",
    metavar="A,B,C|DATASET",
    help="The checkpoint's classes in the order of its rows, where it does not say them, or a "
    "dataset that MMSegmentation knows: cityscapes.",
)
@click.option(
    "--classes",
    metavar="A,B,C",
    help="The new classes in the order of their labels (default: those of CONFIG's dataset).",
)
@click.option("--dry-run", is_flag=True, help="Only say what would become of what.")
@click.option(
    "--trust-checkpoint",
    is_flag=True,
    help="Let the file run whatever it asks for when it is read.",
)
@click.option(
    "--output-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print what became of what.",
)
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
@click.option("--keep-optimizer", is_flag=True, hidden=True)
def adapt(
    checkpoint: Path,
    config: str,
    output: Optional[Path],
    mapping: Optional[str],
    old_classes: Optional[str],
    classes: Optional[str],
    dry_run: bool,
    trust_checkpoint: bool,
    output_format: str,
    overwrite: bool,
    keep_optimizer: bool,
) -> None:
    """Make a checkpoint fit other classes, without losing a row.

    CKPT is a checkpoint, CONFIG the config that is set to your classes (`mmseg-fix patch`). Rows
    of classes that both have go to their new place, by name; rows of new classes start from the
    head's own initialisation. A tensor that differs for another reason, or a backbone that is
    largely missing, is an error, and nothing is written.

    The model is built by MMSegmentation to learn its shapes: CONFIG and the modules that its
    custom_imports name are run. CKPT is read without running what stands in it, and is never
    written to. Optimizer state in it belongs to the old rows and is left out.

    Exit codes: 0 adapted, 1 adapted but something deserves a look, 2 not adapted.
    """
    if keep_optimizer:
        raise FixkitError(
            "--keep-optimizer is not possible: the optimizer's averages belong to the old rows, "
            "one by one, and to their order. Start from the new file with load_from; a run is "
            "resumed with the classes that it began with"
        )
    if output is None and not dry_run:
        raise FixkitError("no output is given; name one with -o, or add --dry-run")
    from mmseg_fixkit.checkpoint.files import check_output
    from mmseg_fixkit.checkpoint.rows import parse_mapping

    if output is not None and not dry_run:
        check_output(output, overwrite=overwrite, source=checkpoint)
    pairs = parse_mapping(mapping) if mapping else None
    adapted = _host().adapt_file(
        checkpoint,
        config,
        old_classes=_names(old_classes),
        classes=_names(classes),
        mapping=pairs,
        trust=trust_checkpoint,
    )
    if output is not None and not dry_run:
        adapted.write(output, overwrite=overwrite)
    _print_report(adapted.report, None if dry_run else output, output_format)
    raise SystemExit(1 if adapted.report.diagnostics else 0)


def _host() -> Any:
    try:
        from mmseg_fixkit.apis import adapt as files
    except ModuleNotFoundError as error:
        from mmseg_fixkit.config.host import NO_STACK

        raise FixkitError(f"{error}. {NO_STACK}") from None
    return files


def _names(text: Optional[str]) -> Any:
    """Read names; a single one is that of a dataset."""
    if text is None or "," not in text:
        return text
    return [name.strip() for name in text.split(",")]


def _print_report(report: AdaptReport, output: Optional[Path], output_format: str) -> None:
    written = None if output is None else str(output)
    if output_format == "json":
        from mmseg_fixkit.cli.output.json import json_text

        click.echo(json_text({**report.as_json(), "output": written}), nl=False)
        return
    console.lines(report.text())
    for found in report.diagnostics:
        console.note(f"{found.code} {found.name}: {found.message}")
    click.echo(printable(f"wrote {written}") if written else "dry run: nothing is written")

"""``mmseg-fix preflight``."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import Optional

import click

from mmseg_fixkit.core.errors import FixkitError


@click.command()
@click.argument("config")
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    metavar="CKPT",
    help="What the run starts from; where left out, load_from of CONFIG.",
)
@click.option("--device", default="cpu", show_default=True, help="Where the model runs: cpu, cuda.")
@click.option(
    "--samples",
    type=click.IntRange(min=2),
    default=4,
    show_default=True,
    help="How many samples of the training data are taken through the pipeline.",
)
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text")
def preflight(
    config: str, checkpoint: Optional[Path], device: str, samples: int, output_format: str
) -> None:
    """Try what would fail in the first hour of a training.

    CONFIG is checked, some of its label files are scanned, the model is built, the checkpoint
    adapted, real samples taken through the pipeline, one forward and backward pass made with every
    class and ignored pixels in the labels, and one validation step. On a CPU images are cut to
    256 x 256 pixels or so for that.

    Nothing is written and nothing downloaded. CONFIG and the modules that its custom_imports name
    are run, as in training.

    Exit codes: 0 nothing to say, 1 something failed or deserves a look, 2 wrong use.
    """
    from mmseg_fixkit.config.load import find_config

    find_config(config)
    try:
        from mmseg_fixkit.apis.preflight.runner import PreflightRun, run_stages
        from mmseg_fixkit.apis.preflight.stages import STAGES
        from mmseg_fixkit.cli.output import preflight as output
    except ModuleNotFoundError as error:
        from mmseg_fixkit.config.host import NO_STACK

        raise FixkitError(f"{error}. {NO_STACK}") from None
    _check_device(device)
    started = time.perf_counter()
    results = []
    width = min(shutil.get_terminal_size().columns, 110) if sys.stdout.isatty() else 100
    for result in run_stages(PreflightRun(config, checkpoint, device, samples), STAGES):
        results.append(result)
        if output_format == "text":
            for line in output.lines_of(result, width):
                click.echo(line)
    if output_format == "json":
        from mmseg_fixkit.cli.output.json import json_text

        click.echo(json_text(output.as_json(config, results)), nl=False)
    else:
        click.echo(output.closing(results, time.perf_counter() - started))
    raise SystemExit(output.exit_code(results))


def _check_device(device: str) -> None:
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise FixkitError(f"--device {device} cannot be used: {reason}") from None

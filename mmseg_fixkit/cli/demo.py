"""``mmseg-fix demo``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("directory", metavar="[DIR]", default="demo", type=click.Path(path_type=Path))
@click.option(
    "--multilabel", is_flag=True, help="Overlapping labels, and a model that predicts each of them."
)
def demo(directory: Path, *, multilabel: bool) -> None:
    """Break, patch and train a real model.

    Makes a small dataset and a checkpoint of other classes in DIR (demo), runs a zoo config with
    the faults that users meet, patches it, and trains PSPNet on the CPU for about a minute and a
    half. Ends with two images. Downloads nothing.

    With --multilabel: data whose labels overlap, a zoo config patched for multi-label segmentation,
    a minute of training, and images of what was learned.

    DIR is a new or empty folder, or that of an earlier demo, whose files are then replaced. It
    takes 400 MB: the checkpoint to start from, and that of the training.
    """
    if multilabel:
        from mmseg_fixkit.demo.run_multilabel import run_multilabel_demo

        run_multilabel_demo(directory)
        return
    from mmseg_fixkit.demo.run import run_demo

    run_demo(directory)

"""``mmseg-fix patch``."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import typer

from mmseg_fixkit.cli import console


def patch(
    config: str = typer.Argument(
        ..., help="A config file, or a zoo name such as mmseg::pspnet/….py."
    ),
    classes: Optional[str] = typer.Option(
        None, metavar="A,B,C", help="Class names in the order of their labels."
    ),
    classes_file: Optional[Path] = typer.Option(
        None, metavar="FILE", help="Class names, one a line."
    ),
    num_classes: Optional[int] = typer.Option(
        None, metavar="N", help="Only how many; they are named class_0, class_1, …"
    ),
    palette: Optional[str] = typer.Option(
        None,
        metavar="COLOURS|FILE",
        help="A colour for each class: '128,64,128;0,0,142', '#804080;#00008e', or a file with "
        "one a line.",
    ),
    class_weight: Optional[str] = typer.Option(
        None,
        metavar="W0,W1,…|keep|none",
        help="N weights for the loss; query heads get one more for 'no object'.",
    ),
    ignore_index: Optional[int] = typer.Option(
        None, metavar="I", help="The label value that is not counted (255 unless said)."
    ),
    reduce_zero_label: Optional[bool] = typer.Option(
        None,
        "--reduce-zero-label/--no-reduce-zero-label",
        help="Whether label files hold 0 for 'ignored' and 1..N for the classes.",
        show_default=False,
    ),
    data_root: Optional[str] = typer.Option(None, metavar="DIR", help="Where the data is."),
    img_dir: Optional[str] = typer.Option(
        None, metavar="DIR", help="Images below it; {split} stands for train, val, test."
    ),
    ann_dir: Optional[str] = typer.Option(None, metavar="DIR", help="Label maps, likewise."),
    img_suffix: Optional[str] = typer.Option(
        None, metavar="TEXT", help="What image names end with, e.g. .jpg."
    ),
    seg_map_suffix: Optional[str] = typer.Option(
        None, metavar="TEXT", help="What label map names end with, e.g. .png."
    ),
    load_from: Optional[str] = typer.Option(
        None, metavar="CKPT", help="The checkpoint to start from."
    ),
    no_guards: bool = typer.Option(
        False, "--no-guards", help="Leave out the runtime guards (hooks and label bounds)."
    ),
    output: Optional[Path] = typer.Option(
        None, "-o", "--output", metavar="OUT", help="The new file; CONFIG_fixed.py unless said."
    ),
    flat: bool = typer.Option(
        False, "--flat", help="Write one file with everything instead of an overlay."
    ),
    diff: bool = typer.Option(False, "--diff", help="Show the change, and write nothing."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace OUT if it exists."),
) -> None:
    """Set all heads, losses, datasets and evaluators of a config to your classes.

    Without classes, those of the config's own training dataset count. The result is an overlay: a
    new file that inherits from CONFIG and holds only what changed. It is loaded again before it
    is kept, and refused if it is not what was planned. CONFIG is a Python program, which MMEngine
    runs to read it; it is never written to.
    """
    from mmseg_fixkit.api import patch as plan_patch
    from mmseg_fixkit.cli.labels import labels_from
    from mmseg_fixkit.reporters import patch_text

    labels = labels_from(classes, classes_file, num_classes, palette)
    planned = plan_patch(
        config,
        labels,
        class_weight=class_weight,
        ignore_index=ignore_index,
        reduce_zero_label=reduce_zero_label,
        data_root=data_root,
        img_dir=img_dir,
        ann_dir=ann_dir,
        img_suffix=img_suffix,
        seg_map_suffix=seg_map_suffix,
        load_from=load_from,
        guards=not no_guards,
    )
    for text in planned.notes:
        console.note(text)
    target = output or default_output(config)
    if diff:
        text = planned.diff(str(target))
        console.diff(text)
        raise typer.Exit(1 if text or planned.plan.left else 0)
    if planned.plan.empty:
        closing = f"{config}: nothing to do, it fits its {planned.labels.num_classes} classes."
    else:
        written = planned.write(target, "flat" if flat else "overlay", overwrite=overwrite)
        state = f"wrote {target}" if written else f"{target} is up to date"
        closing = f"{state}: {len(planned.plan.applied)} changes, proved by loading it again."
    typer.echo(f"{patch_text(planned.plan, planned.plan.left)}{closing}")
    raise typer.Exit(1 if planned.plan.left else 0)


def default_output(config: str) -> Path:
    """Return ``CONFIG_fixed.py`` beside the config; for a zoo name, in the current folder."""
    name = config.rpartition("::")[2]
    path = Path(name) if "::" not in config else Path(Path(name).name)
    return path.with_name(f"{path.name.removesuffix('.py')}_fixed.py")

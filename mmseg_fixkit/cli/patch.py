"""``mmseg-fix patch``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import click

from mmseg_fixkit.cli import console
from mmseg_fixkit.cli.options import labels_from, palette_from
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.text import counted, listed
from mmseg_fixkit.datasets.class_weights import METHODS

_FILE = click.Path(path_type=Path)


@click.command
@click.argument("config")
@click.option("--classes", metavar="A,B,C", help="Class names in the order of their labels.")
@click.option("--classes-file", metavar="FILE", type=_FILE, help="Class names, one a line.")
@click.option(
    "--num-classes",
    metavar="N",
    type=int,
    help="Only how many; they are named class_0, class_1, …",
)
@click.option(
    "--palette",
    metavar="COLOURS|FILE",
    help="A colour for each class: '128,64,128;0,0,142' or '#804080;#00008e', or a file with one "
    "a line.",
)
@click.option(
    "--class-weight",
    metavar="W0,W1,…|keep|none|METHOD",
    help="N weights for the losses; query heads get one more for 'no object'. A METHOD computes "
    f"them from the training labels: {', '.join(METHODS)}.",
)
@click.option(
    "--ignore-index", metavar="I", type=int, help="The label value that is not counted (255)."
)
@click.option(
    "--reduce-zero-label/--no-reduce-zero-label",
    default=None,
    help="Whether label files hold 0 for 'ignored' and 1..N for the classes.",
)
@click.option(
    "--data-root", metavar="DIR", help="Where the data is; usual layouts in it are recognised."
)
@click.option(
    "--img-dir", metavar="DIR", help="Images below it; {split} stands for train, val and test."
)
@click.option("--ann-dir", metavar="DIR", help="Label maps below it, likewise.")
@click.option(
    "--ann-file", metavar="FILE", help="Lists of names below it, likewise; '' for no lists."
)
@click.option("--img-suffix", metavar="TEXT", help="What image names end with: .jpg.")
@click.option("--seg-map-suffix", metavar="TEXT", help="What label map names end with: .png.")
@click.option("--load-from", metavar="CKPT", help="The checkpoint to start from.")
@click.option(
    "--binary",
    type=click.Choice(["sigmoid", "softmax"]),
    help="Tell two classes apart by one sigmoid channel, or by two softmax channels.",
)
@click.option("--multilabel", is_flag=True, help="Let a pixel have several labels, or none.")
@click.option(
    "--label-format",
    type=click.Choice(["bits", "planes", "files", "coco"]),
    help="How label files hold several labels: as bits of a map (default), as planes side by side "
    "(PaddleSeg), as a file a label, or as COCO's JSON.",
)
@click.option(
    "--file-pattern", metavar="TEXT", help="Of --label-format files: '{label}/{stem}.png'."
)
@click.option(
    "--label-file", metavar="FILE", help="Of --label-format coco: 'annotations/{split}.json'."
)
@click.option(
    "--label-values",
    metavar="1|255",
    type=int,
    help="What planes and files write 'on' as: 1, and 255 is ignored, or 255.",
)
@click.option("--guards/--no-guards", default=True, help="Add the runtime guards (default: yes).")
@click.option(
    "-o", "--output", metavar="OUT", type=_FILE, help="The new file (default: CONFIG_fixed.py)."
)
@click.option("--in-place", is_flag=True, help="Change CONFIG itself; comments and layout stay.")
@click.option("--flat", is_flag=True, help="Write one file with everything, not an overlay.")
@click.option("--diff", is_flag=True, help="Show the change, and write nothing.")
@click.option(
    "--cfg-options", is_flag=True, help="Print the change as options of tools/train.py instead."
)
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
def patch(
    config: str,
    classes: Optional[str],
    classes_file: Optional[Path],
    num_classes: Optional[int],
    palette: Optional[str],
    output: Optional[Path],
    in_place: bool,
    flat: bool,
    diff: bool,
    cfg_options: bool,
    overwrite: bool,
    **options: Any,
) -> None:
    """Set a config to your classes.

    That is: all its heads, losses, datasets and evaluators. CONFIG is a config file, or a zoo name
    such as mmseg::pspnet/….py. Without classes, those of its own training dataset count.

    The result is an overlay: a new file that inherits from CONFIG and holds only what changed. It
    is loaded again before it is kept, and refused if it is not what was planned. CONFIG is a
    Python program, which MMEngine runs to read it; it is only written to with --in-place, and the
    files that it inherits from never are.
    """
    from mmseg_fixkit.apis.patch import patch as plan_patch
    from mmseg_fixkit.cli.output.text import patch_text

    given = {"-o": output, "--in-place": in_place, "--cfg-options": cfg_options}
    _one_at_most([name for name, value in given.items() if value])
    _one_at_most([name for name, value in (("--in-place", in_place), ("--flat", flat)) if value])
    labels = labels_from(classes, classes_file, num_classes)
    if config.endswith((".yml", ".yaml")):
        from mmseg_fixkit.cli.paddleseg import patch_if_paddleseg

        others = {**options, "--palette": palette, "--flat": flat, "--cfg-options": cfg_options}
        patch_if_paddleseg(
            config, labels, others, output=output, in_place=in_place, diff=diff, overwrite=overwrite
        )
    planned = plan_patch(config, labels, palette=palette_from(palette), **options)
    for text in planned.notes:
        console.note(text)
    target = output or default_output(config)
    if diff:
        text = planned.text_diff() if in_place else planned.diff(str(target))
        console.diff(text)
        raise SystemExit(1 if text or planned.plan.remaining else 0)
    if cfg_options:
        click.echo(planned.cfg_options())
        raise SystemExit(1 if planned.plan.remaining else 0)
    changes = counted(len(planned.plan.applied), "change")
    if planned.plan.empty:
        classes = counted(planned.labels.num_classes, "class")
        closing = f"{config}: nothing to do, it fits its {classes}."
    elif in_place:
        planned.write_in_place()
        closing = f"changed {config} in place: {changes}, proved by loading it again."
    else:
        written = planned.write(target, "flat" if flat else "overlay", overwrite=overwrite)
        state = f"wrote {target}" if written else f"{target} is up to date"
        closing = f"{state}: {changes}, proved by loading it again."
    click.echo(f"{patch_text(planned.plan, planned.plan.remaining)}{closing}")
    raise SystemExit(1 if planned.plan.remaining else 0)


def _one_at_most(options: Sequence[str]) -> None:
    if len(options) > 1:
        raise FixkitError(f"give one of {listed(options)}")


def default_output(config: str) -> Path:
    """Return ``CONFIG_fixed.py`` beside the config; for a zoo name, in the current folder."""
    name = config.rpartition("::")[2]
    path = Path(name) if "::" not in config else Path(Path(name).name)
    return path.with_name(f"{path.name.removesuffix('.py')}_fixed.py")

"""``mmseg-fix patch``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Optional

import click

from mmseg_fixkit.cli import console
from mmseg_fixkit.cli.options import class_options
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.label_formats import FORMATS
from mmseg_fixkit.core.text import counted, listed, printable
from mmseg_fixkit.datasets.class_weights import METHODS

if TYPE_CHECKING:
    from mmseg_fixkit.core.labels import Color

_FILE = click.Path(path_type=Path)

#: Options that mean something for PaddleSeg too, or are as they are where nothing is given.
_OF_PADDLESEG = {"multilabel", "guards"}


@click.command()
@click.argument("config")
@class_options(palette=True)
@click.option(
    "--class-weight",
    metavar="W0,W1,…|keep|none|METHOD",
    help="N weights for the losses; query heads get one more for 'no object'. A METHOD computes "
    f"them from the training labels: {', '.join(METHODS)}.",
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
    help="Distinguish two classes by one sigmoid channel, or by two softmax channels.",
)
@click.option(
    "--multilabel", is_flag=True, help="Multi-label: a pixel may have several labels, or none."
)
@click.option(
    "--label-format",
    type=click.Choice(tuple(FORMATS)),
    help="How label files hold labels that overlap: as bits of a map (default), as planes side "
    "by side (PaddleSeg), as a file a label, or as COCO's JSON.",
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
    labels: Optional[Sequence[str]],
    palette: Optional[Sequence[Color]],
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
    from mmseg_fixkit.config.paddleseg import is_paddleseg

    given = {"-o": output, "--in-place": in_place, "--cfg-options": cfg_options}
    _one_at_most([name for name, value in given.items() if value])
    _one_at_most([name for name, value in (("--in-place", in_place), ("--flat", flat)) if value])
    if is_paddleseg(config):
        others = {**options, "--palette": palette, "--flat": flat, "--cfg-options": cfg_options}
        _check_for_paddleseg(others)
        target = Path(config) if in_place else output
        # "No" is what an absent flag says, so that only "yes" is a wish.
        multilabel = True if options["multilabel"] else None
        _patch_paddleseg(config, labels, multilabel, target, diff, overwrite or in_place)
    planned = plan_patch(config, labels, palette=palette, **options)
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
    click.echo(f"{patch_text(planned.plan, planned.plan.remaining)}{printable(closing)}")
    raise SystemExit(1 if planned.plan.remaining else 0)


def _patch_paddleseg(
    config: str,
    labels: Optional[Sequence[str]],
    multilabel: Optional[bool],
    output: Optional[Path],
    diff: bool,
    overwrite: bool,
) -> NoReturn:
    from mmseg_fixkit.apis.paddleseg import patch_paddleseg
    from mmseg_fixkit.cli.output.text import patch_text

    count = None if labels is None else len(labels)
    planned = patch_paddleseg(config, count, multilabel=multilabel)
    for text in planned.notes:
        console.note(text)
    if diff:
        console.diff(planned.diff())
        raise SystemExit(1 if planned.diff() or planned.remaining else 0)
    target = output or Path(config).with_name(f"{Path(config).stem}_fixed.yml")
    if not planned.applied:
        closing = f"{config}: nothing to do."
    elif planned.write(target, overwrite=overwrite):
        changes = counted(len(planned.applied), "change")
        closing = f"wrote {target}: {changes}, proved by loading it again."
    else:
        closing = f"{target} is up to date."
    click.echo(f"{patch_text(planned, planned.remaining)}{printable(closing)}")
    raise SystemExit(1 if planned.remaining else 0)


def _check_for_paddleseg(options: Mapping[str, Any]) -> None:
    given = {name for name, value in options.items() if value not in (None, False)}
    for name in sorted(given - _OF_PADDLESEG):
        option = name if name.startswith("-") else f"--{name.replace('_', '-')}"
        raise FixkitError(
            f"{option} is for MMSegmentation configs; a PaddleSeg config takes --classes, "
            "--num-classes, --multilabel, -o, --in-place, --diff and --overwrite"
        )


def _one_at_most(options: Sequence[str]) -> None:
    if len(options) > 1:
        raise FixkitError(f"give one of {listed(options)}")


def default_output(config: str) -> Path:
    """Return ``CONFIG_fixed.py`` beside the config; for a zoo name, in the current folder."""
    name = config.rpartition("::")[2]
    path = Path(name) if "::" not in config else Path(Path(name).name)
    return path.with_name(f"{path.name.removesuffix('.py')}_fixed.py")

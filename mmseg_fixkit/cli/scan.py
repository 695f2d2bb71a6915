"""``mmseg-fix scan``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import click

from mmseg_fixkit.cli import console
from mmseg_fixkit.cli.options import class_options
from mmseg_fixkit.cli.output import REPORTERS, reporter
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import expanded, is_folder
from mmseg_fixkit.core.text import printable_lines

if TYPE_CHECKING:
    from mmseg_fixkit.core.diagnostics import Diagnostic
    from mmseg_fixkit.core.labels import Color
    from mmseg_fixkit.datasets.listing import Inventory, LabelOverrides
    from mmseg_fixkit.datasets.recode import LabelMapping
    from mmseg_fixkit.datasets.stats import LabelStats

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("targets", metavar="TARGET", nargs=-1, required=True)
@click.option("--split", metavar="A,B", help="Which: train,val. Default: those that are here.")
@click.option("--jobs", metavar="N", type=click.IntRange(min=1), help="How many workers.")
@click.option(
    "--executor",
    metavar="WHERE",
    help="threads, processes, or dask://HOST:PORT for a cluster (default: what is faster here).",
)
@click.option("--html", metavar="F", type=_FILE, help="Also write a page with charts and images.")
@click.option(
    "--fix", metavar="MODE", help="Write corrected copies: ignore, palette, binary, auto, …"
)
@click.option("--out", metavar="DIR", type=_FILE, help="Where --fix writes them: a new folder.")
@click.option("--overwrite", is_flag=True, help="Write over files that are in DIR already.")
@click.option(
    "--output-format",
    type=click.Choice(tuple(REPORTERS)),
    default="text",
    show_default=True,
    help="How to print what was found.",
)
@click.option("--output-file", metavar="F", type=_FILE, help="Write it to this file instead.")
@click.option("--save", metavar="F", type=_FILE, help="Save the statistics, to merge them later.")
@click.option("--no-cache", is_flag=True, help="Read every file again.")
@class_options(palette=True)
@click.option("--images", metavar="DIR", type=_FILE, help="The images of a folder of label maps.")
@click.option("--seg-map-suffix", metavar="S", help="What label maps in a folder end with.")
@click.option("--select", metavar="CODES", help="Look only for codes that begin so: MSF401.")
@click.option("--ignore", metavar="CODES", help="Do not look for codes that begin so.")
@click.option("--exit-zero", is_flag=True, help="Exit with 0 despite findings.")
def scan(
    targets: tuple[str, ...],
    split: Optional[str],
    jobs: Optional[int],
    executor: Optional[str],
    html: Optional[Path],
    fix: Optional[str],
    out: Optional[Path],
    overwrite: bool,
    output_format: str,
    output_file: Optional[Path],
    save: Optional[Path],
    no_cache: bool,
    labels: Optional[Sequence[str]],
    palette: Optional[Sequence[Color]],
    ignore_index: Optional[int],
    reduce_zero_label: Optional[bool],
    images: Optional[Path],
    seg_map_suffix: Optional[str],
    select: Optional[str],
    ignore: Optional[str],
    exit_zero: bool,
) -> None:
    """Read all label files, and find what is wrong with them.

    TARGET is a config (a file or a zoo name), whose label files are read as its pipeline reads
    them, but before the cast to 8 bit; or a folder, which needs no OpenMMLab: a dataset of a usual
    layout, or label maps. Several TARGETs are statistics that --save wrote, which are merged.

    Nothing is changed in place. --fix writes corrected copies to a new folder. A config is a Python
    program, which MMEngine runs to read it; the modules that its custom_imports name are not
    imported.

    Exit codes: 0 nothing found, 1 something found, 2 not scanned.
    """
    from mmseg_fixkit.datasets.scan_files import label_overrides
    from mmseg_fixkit.rules.label_sets import findings

    if (fix is None) != (out is None):
        raise FixkitError("--fix MODE needs --out DIR, and --out needs --fix")
    asked = replace(
        label_overrides(labels, palette, ignore_index, reduce_zero_label),
        seg_map_suffix=seg_map_suffix,
    )
    if _are_saved(targets):
        if fix is not None:
            raise FixkitError("--fix needs a config or a folder, not saved statistics")
        stats, inventory = _merged(targets), None
    else:
        splits = _listed(split)
        target = _single(targets)
        source, inventory = _listing(target, splits, images, asked)
        if fix is not None:
            _recodings(fix, inventory)  # what cannot be done is reported before all is read
        how = {"jobs": jobs, "executor": executor, "cache": not no_cache}
        stats = _scanned(source, inventory, how)
    found = findings(stats, *_codes(targets[0], _listed(select), _listed(ignore)))
    if save is not None:
        _save(stats, save)
    if html is not None:
        _write_page(stats, found, html, inventory)
    _tell(stats, found, output_format, output_file)
    if fix is not None and inventory is not None and out is not None:
        recodings = _recodings(fix, inventory, stats)
        refused = _fix(inventory, recodings, out, jobs, overwrite)
        raise SystemExit(1 if refused and not exit_zero else 0)
    raise SystemExit(1 if found and not exit_zero else 0)


def _listed(text: Optional[str]) -> Optional[tuple[str, ...]]:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text else None


def _codes(
    target: str, select: Optional[tuple[str, ...]], ignore: Optional[tuple[str, ...]]
) -> tuple[Optional[tuple[str, ...]], tuple[str, ...]]:
    """Return what is selected and ignored: here, or in the nearest ``pyproject.toml``."""
    from mmseg_fixkit.core.settings import reasons_given, settings_for
    from mmseg_fixkit.rules.label_sets import FAMILY

    path = Path.cwd() if "::" in target else expanded(target)
    settings = settings_for(path if is_folder(path) else path.parent).under(select, ignore)
    for text in reasons_given([settings]):
        if text.startswith(f"ignored {FAMILY}"):
            console.note(text)
    if select is not None:
        return select, settings.ignore
    own = tuple(code for code in settings.select or () if code.upper().startswith(FAMILY))
    return own or None, settings.ignore


def _are_saved(targets: Sequence[str]) -> bool:
    from mmseg_fixkit.datasets.stats import are_stats

    return all(are_stats(target) for target in targets)


def _single(targets: Sequence[str]) -> str:
    if len(targets) > 1:
        raise FixkitError(
            f"{len(targets)} targets are given, but one config or folder is scanned at a time; "
            "save the statistics of each with --save and give those together"
        )
    return targets[0]


def _merged(targets: Sequence[str]) -> LabelStats:
    from functools import reduce
    from operator import add

    from mmseg_fixkit.datasets.stats import load_stats

    return reduce(add, (load_stats(Path(target)) for target in targets))


def _listing(
    target: str, splits: Optional[Sequence[str]], images: Optional[Path], asked: LabelOverrides
) -> tuple[str, Inventory]:
    from mmseg_fixkit.datasets.scan_files import inventory_of

    source, inventory = inventory_of(target, splits, images, asked)
    for note in inventory.notes:
        console.note(note)
    return source, inventory


def _scanned(source: str, inventory: Inventory, how: dict[str, Any]) -> LabelStats:
    from mmseg_fixkit.datasets.scan_files import scan_inventory

    with progress_bar("Scanning", inventory) as progress:
        return scan_inventory(source, inventory, progress=progress, **how)


def progress_bar(
    word: str, inventory: Inventory
) -> AbstractContextManager[Optional[console.Progress]]:
    """Return a progress bar over the files of an inventory."""
    # Listing once more to know how many there are costs little beside decoding.
    return console.progress_bar(word, lambda: sum(1 for _ in inventory.files))


def _save(stats: LabelStats, path: Path) -> None:
    from mmseg_fixkit.datasets.stats import save_stats

    save_stats(stats, path)


def _tell(
    stats: LabelStats, found: Sequence[Diagnostic], output_format: str, output_file: Optional[Path]
) -> None:
    text = _text(stats, found, output_format, plain=output_file is not None)
    if output_file is None:
        click.echo(text, nl=False)
        return
    from mmseg_fixkit.core.files import write_file

    write_file(output_file, text, option="--output-file")


def _text(
    stats: LabelStats, found: Sequence[Diagnostic], output_format: str, *, plain: bool
) -> str:
    if output_format == "json":
        from mmseg_fixkit.cli.output.scan_json import scan_json

        return scan_json(stats, found)
    if output_format == "text":
        from mmseg_fixkit.cli.output.scan_text import scan_text

        return scan_text(stats, found, _width(plain), not plain and console.has_colors())
    from mmseg_fixkit.core.diagnostics import Report

    return reporter(output_format)([Report(stats.source, None, tuple(found))], [])


def _width(plain: bool) -> int:
    from shutil import get_terminal_size

    return 100 if plain or not sys.stdout.isatty() else min(get_terminal_size().columns, 120)


def _write_page(
    stats: LabelStats, found: Sequence[Diagnostic], path: Path, inventory: Optional[Inventory]
) -> None:
    from functools import partial

    from mmseg_fixkit.cli.output.scan_html import scan_html
    from mmseg_fixkit.core.files import write_file
    from mmseg_fixkit.datasets.label_file import read_bytes

    elsewhere = dict(inventory.parts[0].reading.backend_args) if inventory else {}
    read = partial(read_bytes, backend_args=elsewhere)
    page = scan_html(stats, found, files=inventory.files if inventory else (), read=read)
    write_file(path, page, option="--html")


def _recodings(
    mode: str, inventory: Inventory, stats: Optional[LabelStats] = None
) -> dict[str, LabelMapping]:
    """Return what to write, by split; ``stats`` tells which values there are."""
    from mmseg_fixkit.datasets.recode import parse_recoding

    seen = {name: split.raw for name, split in stats.splits.items()} if stats else {}
    return {
        name: parse_recoding(
            mode,
            reading=reading,
            classes=inventory.classes,
            palette=inventory.palette,
            seen=seen.get(name),
        )
        for name, reading in inventory.readings.items()
    }


def _fix(
    inventory: Inventory,
    recodings: dict[str, LabelMapping],
    out: Path,
    jobs: Optional[int],
    overwrite: bool,
) -> bool:
    """Write corrected copies; return whether some files were refused."""
    from mmseg_fixkit.datasets.rewrite import rewrite

    with progress_bar("Writing", inventory) as progress:
        report = rewrite(
            inventory.files,
            out,
            recodings,
            root=inventory.root,
            jobs=jobs,
            progress=progress,
            overwrite=overwrite,
        )
    click.echo(printable_lines(report.text()), err=True)
    return bool(report.refused)

"""Names and shapes of a checkpoint against those of a model: pure, without torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable

from mmseg_fixkit.core.errors import CheckpointMismatch
from mmseg_fixkit.core.text import first_few, printable

Shape = tuple[int, ...]

#: Prefixes of the part that pretraining is about; SAN calls it by the second.
BACKBONES = ("backbone.", "image_encoder.")

#: Share of the backbone that may be absent: ResNet-50 lacks half of ResNet-101, -101 a third of
#: -152; what a model adds to a backbone, and buffers that are no longer saved, is far less.
ALLOWED = 0.25

#: Counters that torch adds and old files lack; a model does without.
_UNIMPORTANT = "num_batches_tracked"

_LISTED = 20

#: What a LightningModule usually calls the network inside it.
_LIGHTNING = ("model", "net", "network")


@dataclass(frozen=True)
class Resized:
    """A tensor that both sides have, in different shapes."""

    name: str
    found: Shape
    expected: Shape


@dataclass(frozen=True)
class Comparison:
    """Every tensor of a checkpoint and of a model, once."""

    loaded: tuple[str, ...]  # same name, same shape
    reinitialised: tuple[Resized, ...]  # class-sized: the head's own initialisation stays
    wrong: tuple[Resized, ...]  # of another shape, which no change of classes explains
    missing: tuple[str, ...]  # in the model only, and needed
    unexpected: tuple[str, ...]  # in the checkpoint only

    def share_missing(self, prefix: str) -> float:
        """How much of the model below ``prefix`` is in no way in the checkpoint: 0.0 to 1.0."""
        return self._share(self.missing, prefix)

    def share_unexpected(self, prefix: str) -> float:
        """How much of the checkpoint below ``prefix`` has no place in the model: 0.0 to 1.0."""
        return self._share(self.unexpected, prefix)

    def _share(self, alone: Sequence[str], prefix: str) -> float:
        shared = (*self.loaded, *(r.name for r in (*self.reinitialised, *self.wrong)))
        both = [sum(name.startswith(prefix) for name in names) for names in (alone, shared)]
        return both[0] / sum(both) if both[0] else 0.0


def compare(
    found: Mapping[str, Shape],
    expected: Mapping[str, Shape],
    resizable: Callable[[Resized], bool],
) -> Comparison:
    """Sort the tensors of a checkpoint by what will become of them in the model.

    ``resizable`` says whether another class count explains why two shapes of a tensor differ.
    """
    shared = [name for name in expected if name in found]
    resized = [
        Resized(name, tuple(found[name]), tuple(expected[name]))
        for name in shared
        if tuple(found[name]) != tuple(expected[name])
    ]
    odd = {r.name for r in resized}
    return Comparison(
        loaded=tuple(name for name in shared if name not in odd),
        reinitialised=tuple(r for r in resized if resizable(r)),
        wrong=tuple(r for r in resized if not resizable(r)),
        missing=tuple(n for n in expected if n not in found and not n.endswith(_UNIMPORTANT)),
        unexpected=tuple(name for name in found if name not in expected),
    )


def likely_reasons(result: Comparison, below: str) -> Iterator[str]:
    """Say what the names give away about a checkpoint that lacks the part of a model ``below``."""
    missing = {name for name in result.missing if name.startswith(below)}
    bare = {name[len(below) :] for name in missing}
    if bare & set(result.unexpected):
        yield (
            f"its tensors lack the prefix {below!r}, as in a checkpoint of a backbone alone; that "
            f"belongs in model.{below}init_cfg=dict(type='Pretrained', checkpoint=…)"
        )
    prefix = _extra_prefix(missing, result.unexpected)
    if prefix:
        yield f"its tensors have the prefix {prefix!r}, which the model's have not{_writer(prefix)}"
    extra = [name for name in result.unexpected if name.startswith(below)]
    if extra:
        yield (
            f"it has {len(extra)} tensors below {below!r} that the model has not (the first is "
            f"{extra[0]}), so it was written by another backbone or another depth"
        )


def _writer(prefix: str) -> str:
    """Say who writes such a prefix; MMEngine's own ``module.`` never gets here."""
    if ".module." in f".{prefix}":
        return ": a part of it was wrapped for several processes (DDP) when it was saved"
    first = prefix.split(".", maxsplit=1)[0]
    return ": PyTorch Lightning saves a module so" if first in _LIGHTNING else ""


def _extra_prefix(missing: set[str], unexpected: tuple[str, ...]) -> str:
    for name in unexpected:
        for start in (i + 1 for i, letter in enumerate(name) if letter == "."):
            if name[start:] in missing:
                return name[:start]
    return ""


def stop_if_another_model(result: Comparison, name: str, meta: Mapping[str, Any]) -> None:
    """Raise CheckpointMismatch if tensors have another shape or much of the backbone is missing."""
    backbone = max(BACKBONES, key=result.share_missing)
    missing = result.share_missing(backbone)
    if not result.wrong and missing <= ALLOWED:
        return
    parts = [f"{name} does not fit the model, and not because of the classes:"]
    if result.wrong:
        parts += [f"of another shape: {len(result.wrong)}", resized_table(result.wrong)]
    if missing > ALLOWED:
        lacking = [n for n in result.missing if n.startswith(backbone)]
        share = f"{missing:.0%} of the tensors of {backbone[:-1]}"
        parts += [f"{share} are not in it, such as {first_few(lacking, 5)}"]
    reasons = [*likely_reasons(result, backbone)]
    if any(r.name.startswith(backbone) for r in result.wrong):
        reasons += [f"layers of {backbone[:-1]} differ in size: another depth, width or input size"]
    version = str(meta.get("mmseg_version", ""))
    if version.startswith("0."):
        reasons += [f"it was written by mmsegmentation {version}; 1.x names some layers otherwise"]
    parts += [f"likely reason: {reason}" for reason in reasons]
    raise CheckpointMismatch("\n".join([*parts, "Give a checkpoint of this architecture"]))


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write ``rows`` below ``header`` in aligned columns, indented by two."""
    lines = [list(header), *([printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths)) for line in lines)
    return "\n".join(f"  {line.rstrip()}" for line in padded)


def resized_table(rows: Sequence[Resized]) -> str:
    """Write names and both shapes; of many the first."""
    shown = table(
        ("tensor", "checkpoint", "model"), [(r.name, r.found, r.expected) for r in rows[:_LISTED]]
    )
    return shown + (f"\n  and {len(rows) - _LISTED} more" if len(rows) > _LISTED else "")

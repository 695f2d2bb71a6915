"""What the config of a run says about the faults of its log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Callable

from mmseg_fixkit.apis.explain.explanation import Explanation, PossibleCause
from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.host import HeadKind
from mmseg_fixkit.config.load import ConfigLike, load
from mmseg_fixkit.core.diagnostics import Diagnostic, format_key

_SIGMOID = "use_sigmoid"


@dataclass(frozen=True)
class CheckedConfig:
    """A config and what ``check`` finds in it."""

    document: ConfigDocument
    findings: tuple[Diagnostic, ...]

    def found(self, *codes: str) -> tuple[Diagnostic, ...]:
        """Return the findings with one of these codes."""
        return tuple(d for d in self.findings if d.code in codes)


#: Whether the config has a cause, and the words for it.
Verdict = tuple[bool, str]


def _without_no_object(checked: CheckedConfig) -> Verdict:
    heads = [h for h in checked.document.heads if h.spec.kind in (HeadKind.QUERY, HeadKind.TEXT)]
    if not heads:
        return False, "there is no query head"
    keys = [head.key for head in heads]
    found = [d for d in checked.found("MSF102") if any(d.key[: len(k)] == k for k in keys)]
    return bool(found), _messages(found) or f"{heads[0].type} has N + 1 weights, or none"


def _ignored_pixels(checked: CheckedConfig) -> Verdict:
    found = checked.found("MSF107")
    return bool(found), _messages(found) or "no CrossEntropyLoss of MMSegmentation has class_weight"


def _sigmoid(checked: CheckedConfig) -> Verdict:
    # Query heads have sigmoid losses too, whose labels are masks.
    losses = [loss for h in checked.document.class_heads for loss in checked.document.losses(h)]
    pixels = [loss for loss in losses if loss.head.spec.kind is HeadKind.PER_PIXEL]
    found = [loss for loss in pixels if loss.config.get(_SIGMOID)]
    if not found:
        return False, "no loss of classes has use_sigmoid=True"
    key = format_key((*found[0].key, _SIGMOID))
    return True, f"{key} is True; whether a label is N or more, the scan says"


def _one_channel(checked: CheckedConfig) -> Verdict:
    found = checked.found("MSF110")
    return bool(found), _messages(found) or "no head with one channel has a sampler"


def _label_too_large(checked: CheckedConfig) -> Verdict:
    fits = not checked.found("MSF110")
    return fits, "the files say, not the config" if fits else "the sampler alone stops the run"


#: Cause id -> its test.
CAUSES: Mapping[str, Callable[[CheckedConfig], Verdict]] = {
    "weights-without-no-object": _without_no_object,
    "weights-and-ignored-pixels": _ignored_pixels,
    "sigmoid-and-label-too-large": _sigmoid,
    "one-channel-and-sampler": _one_channel,
    "label-too-large": _label_too_large,
}


def check_against_config(config: ConfigLike, explained: Sequence[Explanation]) -> list[Explanation]:
    """Return the explanations with the findings of ``check`` that fit, and causes decided.

    Raises ``FixkitError`` where the config cannot be read.
    """
    from mmseg_fixkit.apis.check import check

    checked = CheckedConfig(load(config), check(config).diagnostics)
    found = [replace(each, findings=checked.found(*each.rules)) for each in explained]
    return [_with_causes(each, checked) if each.possibilities else each for each in found]


def _with_causes(explained: Explanation, checked: CheckedConfig) -> Explanation:
    """Return the explanation with the causes that fit first, and with their steps only."""
    decided = [_decided(cause, checked) for cause in explained.possibilities]
    fitting = [cause for cause in decided if cause.fits]
    count = len(fitting) or "none: then it is a label value, or your own code"
    return replace(
        explained,
        why=f"This text has {len(decided)} causes, of which the config shows {count}.",
        next=tuple(step for cause in fitting for step in cause.next) or explained.next[1:],
        possibilities=tuple(sorted(decided, key=lambda cause: not cause.fits)),
    )


def _decided(cause: PossibleCause, checked: CheckedConfig) -> PossibleCause:
    fits, because = CAUSES[cause.id](checked)
    return replace(cause, fits=fits, because=because)


def _messages(found: Iterable[Diagnostic]) -> str:
    return "; ".join(f"{d.code} {d.message}" for d in found)

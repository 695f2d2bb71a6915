"""A model of every head kind of the zoo gives what it gave before, wherever its classes went."""

from __future__ import annotations

import pytest

from tests.helpers.adapt_proof import ADDED, OLD, ORDER, SUBSET, Measured, prove
from tests.helpers.runs import skip_unless_installed
from tests.zoo.configs import method_of
from tests.zoo.train import STEPS, Step

#: Of single precision, after tens of layers.
ROUNDING = 1e-5

#: Models whose class layers are a matter of their own, and one of the plain ones; the rest, which
#: has conv_seg alone or takes long, is slow.
QUICK = (
    "bisenetv2",
    "danet",
    "ddrnet",
    "encnet",
    "mask2former",
    "maskformer",
    "ocrnet",
    "pidnet",
    "point_rend",
    "pspnet",
    "segmenter",
    "stdc",
)
KNET = "knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512.py"


def is_quick(step: Step) -> bool:
    return method_of(step.config) in QUICK or step.config == KNET


PARAMETERS = [
    pytest.param(
        step,
        id=step.config.partition("_")[0] if is_quick(step) else step.config,
        marks=[] if is_quick(step) else pytest.mark.slow,
    )
    for step in STEPS
]


@pytest.mark.parametrize("step", PARAMETERS)
def test_kept_classes_have_the_outputs_that_they_had(step: Step) -> None:
    skip_unless_installed(method_of(step.config))
    proof = prove(step, [ORDER, SUBSET, ADDED])
    if proof is None:
        pytest.skip(f"{step.config} cannot be built here")
    order, *others = proof.measured
    assert close(order), order
    for measured in others:
        if not proof.acting:
            assert close(measured), measured
            assert measured.agreement > 0.999
        elif "OCRHead" not in proof.heads:
            # What classes do to each other comes behind their layers.
            assert measured.worst_layer < ROUNDING, measured


def close(measured: Measured) -> bool:
    return measured.prediction < ROUNDING and measured.worst_layer < ROUNDING


def test_the_quick_ones_have_every_special_head() -> None:
    from mmseg_fixkit.config.host import HEAD_SPECS, HeadKind

    special = {k for k, s in HEAD_SPECS.items() if s.class_layers and s.kind is not HeadKind.DEPTH}
    shown = " ".join(special_heads(step) for step in STEPS if is_quick(step))
    missing = sorted(kind for kind in special if kind not in shown)
    assert not missing, (
        f"{missing} of HEAD_SPECS are in no quick step: give each a Step in tests/zoo/train.py, "
        "and its folder of configs in QUICK here"
    )
    assert len(set(OLD)) == 7


def special_heads(step: Step) -> str:
    from tests.zoo.configs import ROOT, head_types
    from tests.zoo.modes import read

    return head_types(read(ROOT / step.config).model.to_dict())

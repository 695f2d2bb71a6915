"""The configs that the examples of the rules inherit: an example shows the lines at fault alone."""

from __future__ import annotations

from mmseg_fixkit.core.rule import Rule

#: One class for each pixel.
_PLAIN = """\
model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=2))
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('soil', 'weed'))))
"""

#: Labels that may overlap, for family 6.
_MULTILABEL = """\
custom_imports = dict(imports=['mmseg_fixkit'])
model = dict(
    type='MultiLabelEncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=3,
        loss_decode=dict(type='MultiLabelLoss')))
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('person', 'shadow'))))
"""

#: What a config with the lines of an example begins with.
INHERITS = "_base_ = './base.py'\n"


def base_config(rule: Rule) -> str:
    """Return the config that the example of ``rule`` inherits."""
    return _MULTILABEL if rule.code.startswith("MSF6") else _PLAIN


def base_section(rule: Rule) -> str:
    """Return the section that ends the page of one rule; empty where its example is no config."""
    if not rule.example():
        return ""
    return f"\n## The config of the example\n{_LINES}:\n{_fenced(base_config(rule))}"


def base_sections() -> str:
    """Return the section of the page of all rules."""
    return (
        f"## The configs of the examples\n\n{_LINES}:\n\n{_fenced(_PLAIN)}\n"
        f"In family 6, whose labels may overlap, from this one:\n\n{_fenced(_MULTILABEL)}"
    )


_LINES = (
    "An example shows the lines at fault alone. They stand in a config that inherits "
    f"(`{INHERITS.strip()}`) from this one"
)


def _fenced(config: str) -> str:
    return f"```python\n{config}```\n"

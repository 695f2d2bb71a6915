"""The rules, a module a family. Importing this package registers them all."""

from mmseg_fixkit.rules import (  # noqa: F401 - each import registers its rules
    binary,
    checkpoints,
    data,
    datasets,
    guards,
    heads,
    ignore_index,
    ignored_labels,
    loss_calls,
    losses,
    metainfo,
    multilabel,
    multilabel_data,
    multilabel_files,
    multilabel_losses,
    one_channel,
    pipelines,
    weight_forms,
    weights,
)
from mmseg_fixkit.rules.context import Context, DataLocation, Wishes

__all__ = ["Context", "DataLocation", "Wishes"]

"""How well each label of a multi-label model is found."""

from __future__ import annotations

import os.path as osp
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger, print_log
from mmengine.utils import mkdir_or_exist
from numpy.typing import NDArray
from prettytable import PrettyTable
from torch import Tensor

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import write_file
from mmseg_fixkit.datasets.label_bits import MAX_PNG_LABELS, map_type
from mmseg_fixkit.datasets.multilabel_files import encode
from mmseg_fixkit.models.label_bits import ignored_in, planes_of

#: Columns of the table, and what they are of the areas (both, predicted, labelled).
MEASURES = ("IoU", "Dice", "Precision", "Recall")


class MultiLabelIoUMetric(BaseMetric):
    """IoU, Dice, precision and recall of each label, and their means over the labels.

    Predictions and labels are maps of bits. Pixels that the label map ignores do not count. What is
    not defined (a label that is nowhere, neither labelled nor predicted) is nan, and left out of
    the mean, as in ``IoUMetric``. Values are in percent; the means are ``mIoU``, ``mDice``,
    ``mPrecision`` and ``mRecall``.

    Args:
        background: whether the pixels without a label are one more, first.
        classwise: whether the values of each label are among the results too, as ``IoU/cat``; they
            always stand in the table.
        nan_to_num: what stands for nan, in the means too.
        output_dir: a folder for the predictions, as maps of bits in grey PNGs; up to 15 labels.
        format_only: only write the predictions, of images without labels.
        collect_device: see ``BaseMetric``.
        prefix: likewise.

    Raises:
        FixkitError: there is no ``output_dir`` to write to, or an image has no labels.
    """

    def __init__(
        self,
        background: bool = False,
        classwise: bool = False,
        nan_to_num: Optional[float] = None,
        output_dir: Optional[str] = None,
        format_only: bool = False,
        collect_device: str = "cpu",
        prefix: Optional[str] = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if format_only and output_dir is None:
            raise FixkitError("format_only is True, but no output_dir is given to write to")
        self.background = background
        self.classwise = classwise
        self.nan_to_num = nan_to_num
        self.output_dir = output_dir
        self.format_only = format_only
        if output_dir and is_main_process():
            mkdir_or_exist(output_dir)

    @property
    def labels(self) -> Sequence[str]:
        """The names of the labels."""
        names: Sequence[str] = self.dataset_meta["classes"]
        return names

    def process(self, data_batch: dict[str, Any], data_samples: Sequence[dict[str, Any]]) -> None:
        """Count the areas of one batch, or write its predictions."""
        for sample in data_samples:
            predicted = sample["pred_sem_seg"]["data"].squeeze(0)
            if not self.format_only:
                label = _label(sample).squeeze(0).to(predicted.device)
                self.results.append(areas(predicted, label, len(self.labels), self.background))
            if self.output_dir is not None:
                self._write(predicted, sample["img_path"], self.output_dir)

    def _write(self, predicted: Tensor, image: str, folder: str) -> None:
        if len(self.labels) > MAX_PNG_LABELS:
            raise FixkitError(
                f"output_dir is given, but there are {len(self.labels)} labels, and a grey PNG has "
                f"bits for {MAX_PNG_LABELS}"
            )
        file = osp.join(folder, f"{osp.splitext(osp.basename(image))[0]}.png")
        write_file(file, encode(predicted.cpu().numpy().astype(map_type(len(self.labels)))))

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Return the means, and print the table of the labels."""
        logger = MMLogger.get_current_instance()
        if self.format_only:
            logger.info(f"results are saved to {self.output_dir}")
            return {}
        values = measures(np.sum(results, axis=0))
        if self.nan_to_num is not None:
            values = {name: np.nan_to_num(v, nan=self.nan_to_num) for name, v in values.items()}
        names = [*(["background"] if self.background else []), *self.labels]
        print_log(f"per label results:\n{_table(names, values)}", logger)
        means = {f"m{name}": _percent(_mean(value)) for name, value in values.items()}
        return {**means, **(_each(names, values) if self.classwise else {})}


def _label(sample: dict[str, Any]) -> Tensor:
    if "gt_sem_seg" not in sample:
        raise FixkitError(
            f"{sample.get('img_path')} has no labels to compare with; load them in the test "
            "pipeline with LoadMultiLabelAnnotations, or set format_only=True"
        )
    found: Tensor = sample["gt_sem_seg"]["data"]
    return found


def areas(
    predicted: Tensor, label: Tensor, labels: int, background: bool = False
) -> NDArray[np.int64]:
    """Return how many pixels of each label are both, predicted and labelled: (3, L).

    Maps of bits are (H, W); what ``label`` ignores does not count. With ``background``, pixels
    without a label are one more label, the first.
    """
    counts = ~ignored_in(label)
    pairs = list(zip(planes_of(predicted, labels), planes_of(label, labels)))
    if background:
        sides = zip(*pairs)
        pairs.insert(0, tuple(~torch.stack(side).any(0) for side in sides))
    rows = [(p & t & counts, p & counts, t & counts) for p, t in pairs]
    return np.array([[int(plane.sum()) for plane in row] for row in rows], np.int64).T


def measures(total: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Return the measures of each label, by name; nan where nothing is divided by nothing."""
    both, predicted, labelled = total.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (
            both / (predicted + labelled - both),
            2 * both / (predicted + labelled),
            both / predicted,
            both / labelled,
        )
    return dict(zip(MEASURES, found))


def _mean(values: NDArray[np.float64]) -> float:
    real = values[~np.isnan(values)]
    return float(real.mean()) if real.size else float("nan")


def _percent(value: float) -> float:
    return round(100 * float(value), 2)


def _each(names: Sequence[str], values: dict[str, NDArray[np.float64]]) -> dict[str, float]:
    return {
        f"{measure}/{name}": _percent(value)
        for measure, column in values.items()
        for name, value in zip(names, column)
    }


def _table(names: Sequence[str], values: dict[str, NDArray[np.float64]]) -> str:
    table = PrettyTable()
    table.add_column("Label", list(names))
    for name, column in values.items():
        table.add_column(name, [_percent(value) for value in column])
    text: str = table.get_string()
    return text

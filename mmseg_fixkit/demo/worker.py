"""The process that runs the host: ``python -m mmseg_fixkit.demo.worker VERB CONFIG TARGET``.

A run that fails must not take the demonstration with it, and MMEngine expects one runner in a
process. What the host prints goes to stderr; stdout carries one JSON object a line.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any, Callable

Send = Callable[..., None]


def main(verb: str, config: str, target: str) -> int:
    """Do one job and tell about it; return the exit code."""
    send = _channel()
    try:
        _import_host()
        send("ready")
        (_train if verb == "train" else _checkpoint)(config, Path(target), send)
    except Exception as error:
        traceback.print_exc()
        send("error", text=f"{type(error).__name__}: {error}")
        return 1
    return 0


def _channel() -> Send:
    """Keep stdout for messages, and turn what others print there to stderr."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(event: str, **values: Any) -> None:
        print(json.dumps({"event": event, **values}), file=channel, flush=True)

    return send


def _import_host() -> None:
    from mmseg.utils import register_all_modules

    register_all_modules()


def _train(config: str, work_dir: Path, send: Send) -> None:
    from mmengine.config import Config
    from mmengine.runner import Runner

    cfg = Config.fromfile(config)
    cfg.work_dir = str(work_dir)
    runner = Runner.from_cfg(cfg)
    runner.register_hook(_progress_hook(send), priority="VERY_LOW")
    runner.train()
    _predict(runner, work_dir / "predictions")


def _progress_hook(send: Send) -> Any:
    from mmengine.hooks import Hook

    class ProgressHook(Hook):  # type: ignore[misc]  # the host ships no types
        """Tells the other process how far training is."""

        def after_train_iter(self, runner: Any, *_: Any, outputs: Any = None, **__: Any) -> None:
            send("iteration", iteration=runner.iter + 1, loss=float(outputs["loss"]))

        def after_val_epoch(self, runner: Any, metrics: Any = None) -> None:
            send("metrics", **{name: float(value) for name, value in metrics.items()})

    return ProgressHook()


def _predict(runner: Any, folder: Path) -> None:
    """Write the predicted label map of each validation image, under the image's name."""
    import numpy as np
    import torch
    from PIL import Image

    folder.mkdir(parents=True)
    runner.model.eval()
    with torch.no_grad():
        for batch in runner.val_loop.dataloader:
            for sample in runner.model.val_step(batch):
                values = sample.pred_sem_seg.data.squeeze(0).cpu().numpy().astype(np.uint8)
                Image.fromarray(values).save(folder / f"{Path(sample.img_path).stem}.png")


def _checkpoint(config: str, path: Path, send: Send) -> None:
    """Save an untrained model of the config with Cityscapes' class names, as zoo files have it."""
    import torch
    from mmengine.config import Config
    from mmseg.registry import DATASETS, MODELS

    cfg = Config.fromfile(config)
    model = MODELS.build(cfg.model)
    model.init_weights()
    meta = {"dataset_meta": dict(DATASETS.get("CityscapesDataset").METAINFO)}
    unfinished = path.with_suffix(".tmp")
    torch.save({"state_dict": model.state_dict(), "meta": meta}, unfinished)
    unfinished.replace(path)
    send("saved", tensors=len(model.state_dict()))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

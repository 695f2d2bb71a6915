"""Runs MMSegmentation in a process of its own.

A run that fails must not take the demonstration with it, and MMEngine expects one runner in a
process. What MMSegmentation prints goes to a log, what the demonstration needs through a pipe.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Callable, Optional

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import real_path, replacing

#: Takes each iteration and its loss.
Listener = Callable[[int, float], None]
#: Sends the name of an event and its value.
Send = Callable[[tuple[str, Any]], None]
#: Does the work for a config and a target in the other process.
Job = Callable[[str, Path, Send], None]

_STAMP = r"\d\d/\d\d \d\d:\d\d:\d\d - \S+ - [A-Z]+ - "
#: What begins a message; MMEngine prints the second one without time and level.
_START = f"{_STAMP}|The model and loaded state dict do not match exactly"


@dataclass(frozen=True)
class RunResult:
    """What came of one run of MMSegmentation."""

    config: Path
    log: Path  # everything that was printed
    error: Optional[str]  # what ended it, as "Type: message"
    losses: tuple[float, ...]  # of each iteration
    metrics: Mapping[str, float]  # of the validation at the end

    @property
    def predictions(self) -> Path:
        """The folder of the predicted label maps."""
        return self.log.parent / "predictions"

    def message(self, words: str) -> Optional[str]:
        """Return the first message of the log that holds these words, from that line on."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        line = rf"^(?:{_STAMP})?(.*{re.escape(words)}.*"
        found = re.search(rf"{line}(?:\n(?!{_START}).*\S.*)*)", text, re.MULTILINE)
        return found and found[1]


def train(config: Path, work_dir: Path, listen: Optional[Listener] = None) -> RunResult:
    """Train with a config, from its own folder, where its relative paths lead."""
    return _run(_train, config, work_dir, work_dir, listen)


def make_checkpoint(config: Path, path: Path, work_dir: Path) -> None:
    """Save the config's untrained model."""
    result = _run(_checkpoint, config, path, work_dir)
    if result.error:
        raise FixkitError(f"{path} could not be made: {result.error}; see {result.log}")


def _run(
    job: Job, config: Path, target: Path, work_dir: Path, listen: Optional[Listener] = None
) -> RunResult:
    work_dir.mkdir(parents=True, exist_ok=True)
    log = work_dir / "host.log"
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    files = (real_path(config), real_path(target), real_path(log))
    process = context.Process(target=_work, args=(job, *files, sender), daemon=True)
    process.start()
    sender.close()  # so that the pipe ends with the other process
    events = list(_events(receiver, listen))
    process.join()
    return _result(config, log, events, process.exitcode)


def _events(receiver: Connection, listen: Optional[Listener]) -> Iterator[tuple[str, Any]]:
    iteration = 0
    with suppress(EOFError):
        while True:
            event, value = receiver.recv()
            if event == "iteration":
                iteration += 1
                if listen:
                    listen(iteration, value)
            yield event, value


def _result(
    config: Path, log: Path, events: list[tuple[str, Any]], code: Optional[int]
) -> RunResult:
    values = dict(events)
    error = values.get("error") or (f"the process ended with code {code}" if code else None)
    if error and "ready" not in values:
        raise FixkitError(f"the installed stack cannot be imported: {error}; see {log}")
    losses = tuple(value for event, value in events if event == "iteration")
    return RunResult(config, log, error, losses, values.get("metrics", {}))


def _work(job: Job, config: Path, target: Path, log: Path, sender: Connection) -> None:
    """Do one job in this process, and send what comes of it."""
    _redirect(log)
    # Threads that wait without spinning: a third faster where other work keeps the cores busy.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.update(NO_COLOR="1", CUDA_VISIBLE_DEVICES="")
    os.chdir(config.parent)
    try:
        from mmseg.utils import register_all_modules

        register_all_modules()
        sender.send(("ready", None))
        job(config.name, target, sender.send)
    except Exception as error:
        traceback.print_exc()
        sender.send(("error", f"{type(error).__name__}: {error}"))


def _redirect(log: Path) -> None:
    with log.open("wb") as printed:
        for stream in (1, 2):
            os.dup2(printed.fileno(), stream)


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
        """Reports to the other process how far training is."""

        def after_train_iter(self, runner: Any, *_: Any, outputs: Any = None, **__: Any) -> None:
            send(("iteration", float(outputs["loss"])))

        def after_val_epoch(self, runner: Any, metrics: Any = None) -> None:
            send(("metrics", {name: float(value) for name, value in metrics.items()}))

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


def _checkpoint(config: str, path: Path, _: Send) -> None:
    """Save an untrained model of the config with Cityscapes' class names, as zoo files have it."""
    import torch
    from mmengine.config import Config
    from mmseg.registry import DATASETS, MODELS

    cfg = Config.fromfile(config)
    model = MODELS.build(cfg.model)
    model.init_weights()
    meta = {"dataset_meta": dict(DATASETS.get("CityscapesDataset").METAINFO)}
    with replacing(path) as temporary:
        torch.save({"state_dict": model.state_dict(), "meta": meta}, temporary)

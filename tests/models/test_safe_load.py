"""MMEngine reads its own checkpoints once the runtime is imported, and still nothing else."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, Optional

import mmengine.runner.checkpoint as host
import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

from mmseg_fixkit.checkpoint.safe_globals import ALLOWED
from mmseg_fixkit.core.compat import has
from mmseg_fixkit.models.safe_load import allow_checkpoints, stand_ins
from tests.helpers.paths import ROOT
from tests.helpers.runs import (
    run_config,
    run_dataset,
    run_dataset_config,
    run_head,
    run_log,
    run_model,
    run_names,
    run_runner,
)

HOOK = {"type": "HeadAdaptHook"}
SAID = "has added the types that checkpoints of MMEngine also hold"
#: The fork tries a list of its own, and then runs whatever the file asks for.
FALLS_BACK = hasattr(host, "get_torch_safe_globals")

SCHEDULERS = [
    {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 2},
    {"type": "MultiStepLR", "milestones": [3, 5], "by_epoch": False},
    {"type": "OneCycleLR", "eta_max": 0.1, "total_steps": 20, "by_epoch": False},
    {"type": "LinearMomentum", "start_factor": 0.5, "by_epoch": False, "end": 2},
]
EPOCHS: dict[str, Any] = {
    "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 1, "val_interval": 1},
    "log_processor": {"by_epoch": True},
    "param_scheduler": [{"type": "ReduceOnPlateauLR", "monitor": "mIoU", "by_epoch": True}],
}
ITERATIONS: dict[str, Any] = {
    "train_cfg": {"type": "IterBasedTrainLoop", "max_iters": 2, "val_interval": 2},
    "param_scheduler": SCHEDULERS,
}
ADAM: dict[str, Any] = {
    "optim_wrapper": {
        "type": "OptimWrapper",
        "clip_grad": {"max_norm": 1.0},
        "optimizer": {"type": "AdamW", "lr": 0.001},
    }
}
#: What is saved, and the options and hooks of the run that saves it.
RUNS: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "iterations": (ITERATIONS, []),
    "epochs": (EPOCHS, []),
    "average, AdamW": ({**ITERATIONS, **ADAM}, [{"type": "EMAHook"}]),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = run_dataset(tmp_path_factory.mktemp("data"), 3)
    return run_dataset_config(root, run_names(3))


def config_of(work: Path, data: Any, options: dict[str, Any], hooks: list[Any], **more: Any) -> Any:
    by_epoch = options.get("train_cfg", {}).get("type") == "EpochBasedTrainLoop"
    default_hooks = {
        "logger": {"type": "LoggerHook", "interval": 1},
        "checkpoint": {
            "type": "CheckpointHook",
            "interval": 1,
            "by_epoch": by_epoch,
            "save_best": "mIoU",
        },
    }
    model = run_model(run_head(3))
    every = {"default_hooks": default_hooks, **options, **more}
    return run_config(work, model, data, data, hooks=hooks, **every)


def saved_by(config: Any) -> Path:
    run_runner(config).train()
    return Path((Path(config.work_dir) / "last_checkpoint").read_text())


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, data: Any) -> Path:
    return saved_by(config_of(tmp_path_factory.mktemp("run"), data, ITERATIONS, []))


@pytest.mark.parametrize("name", RUNS)
def test_a_run_goes_on_from_what_it_saved(name: str, tmp_path: Path, data: Any) -> None:
    options, hooks = RUNS[name]
    path = saved_by(config_of(tmp_path / "first", data, options, hooks))
    more = {"train_cfg": {**options["train_cfg"]}}
    more["train_cfg"].update({k: 2 * v for k, v in more["train_cfg"].items() if k[:4] == "max_"})
    again = {**options, **more}
    config = config_of(
        tmp_path / "again", data, again, [*hooks, HOOK], load_from=str(path), resume=True
    )
    runner = run_runner(config)
    runner.train()
    log = run_log(runner)
    assert "resumed epoch" in log
    assert "Could not safely load" not in log
    losses = runner.message_hub.log_scalars["train/loss"]
    assert isinstance(losses, HistoryBuffer)
    assert len(losses.data[0]) == 4  # two of the first run


@pytest.mark.parametrize("which", ["last", "best"])
def test_weights_are_loaded_for_a_new_run(
    which: str, tmp_path: Path, data: Any, checkpoint: Path
) -> None:
    path = checkpoint if which == "last" else next(checkpoint.parent.glob("best_*.pth"))
    runner = run_runner(config_of(tmp_path, data, ITERATIONS, [HOOK], load_from=str(path)))
    runner.load_or_resume()
    saved = torch.load(path, weights_only=False)["state_dict"]
    assert all(torch.equal(saved[n], v) for n, v in runner.model.state_dict().items())
    assert "Could not safely load" not in run_log(runner)


def in_a_new_process(code: str, *args: object, rank: Optional[str] = None) -> str:
    ranks = {} if rank is None else {"RANK": rank}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **ranks},
        check=False,
    )
    return done.stdout + done.stderr


LOAD = "import sys; from mmengine.runner import CheckpointLoader as L; {0}; \
print('keys', *L.load_checkpoint(sys.argv[1], 'cpu'))"
TRAIN = (
    "import sys; from mmengine.config import Config; from mmengine.runner import Runner; "
    "Runner.from_cfg(Config.fromfile(sys.argv[1])).train()"
)


@pytest.mark.skipif(FALLS_BACK, reason="this MMEngine opens anything")
def test_mmengine_alone_cannot_read_what_it_wrote(checkpoint: Path) -> None:
    alone = in_a_new_process(LOAD.format("pass"), checkpoint)
    assert "GLOBAL mmengine.logging.history_buffer.HistoryBuffer was not an allowed" in alone
    helped = in_a_new_process(LOAD.format("import mmseg_fixkit.runtime"), checkpoint)
    assert "keys meta state_dict message_hub optimizer" in helped


@pytest.mark.parametrize(
    ("imports", "hooks", "resume"),
    [("mmseg_fixkit", [HOOK], True), ("mmseg_fixkit.runtime", [], False)],
)
def test_either_import_is_enough_and_it_is_said_once(
    imports: str, hooks: list[Any], resume: bool, tmp_path: Path, data: Any, checkpoint: Path
) -> None:
    options = {**ITERATIONS, "load_from": str(checkpoint), "resume": resume}
    options["train_cfg"] = {**ITERATIONS["train_cfg"], "max_iters": 3}
    config = config_of(tmp_path, data, options, hooks, imports=imports)
    out = in_a_new_process(TRAIN, tmp_path / "config.py")
    assert "Iter(train) [3/3]" in out, out
    assert out.count(SAID) == 1
    in_log = next(tmp_path.glob("*/*.log")).read_text().count(SAID)
    assert in_log == (config.custom_imports.imports == ["mmseg_fixkit"])


def test_only_the_first_process_says_so() -> None:
    code = "import mmseg_fixkit.runtime, torch; print(len(torch.serialization.get_safe_globals()))"
    first, second = (in_a_new_process(code, rank=rank) for rank in ("0", "1"))
    assert SAID in first
    assert SAID not in second
    assert first.strip().splitlines()[-1] != "0"


def test_a_second_call_has_nothing_to_add() -> None:
    assert not allow_checkpoints()
    there = {g[1] if isinstance(g, tuple) else "" for g in torch.serialization.get_safe_globals()}
    assert set(ALLOWED) <= there


def test_the_table_is_the_list() -> None:
    assert set(stand_ins()) == set(ALLOWED)
    # Nothing that a file names stands for itself.
    assert {value.__module__.partition(".")[0] for value in stand_ins().values()} == {
        "mmseg_fixkit"
    }


HOSTILE = """
import pickle, sys, numpy, torch
from mmengine.logging import HistoryBuffer
import mmseg_fixkit.runtime
class Asks:
    def __init__(self, *asked): self.asked = asked
    def __reduce__(self): return self.asked
core = getattr(numpy, "_core", None) or numpy.core
make, number = core.multiarray._reconstruct, core.multiarray.scalar
f8, objects = (Asks(numpy.dtype, (code, False, True)) for code in ("f8", "O"))
empty = (numpy.ndarray, (0,), b"b")
history = HistoryBuffer([1.0], [1])
methods = dict(HistoryBuffer._statistics_methods)
state = {"max_length": 9, "_log_history": numpy.ones(2), "_count_history": numpy.ones(2)}
cases = [
    Asks(numpy.ndarray, ((1,), objects, b"A" * 8)),
    Asks(numpy.ndarray, ((1000,),)),
    Asks(make, (numpy.ndarray, (4096,), f8)),
    Asks(make, empty, (1, (50,), objects, False, [1])),
    Asks(make, empty, (1, (50,), f8, False, b"A" * 8)),
    Asks(number, (objects, b"A" * 8)),
    Asks(number, (f8, b"A")),
    Asks(numpy.dtype, ("f8", False, True), (3, "<", None, ("a",), {"a": (f8, 0)}, 8, 1, 63)),
    Asks(HistoryBuffer, ()),
    Asks(getattr, (HistoryBuffer, "__init__")),
]
for case in cases:
    torch.save(case, sys.argv[1])
    try:
        value = torch.load(sys.argv[1], weights_only=True)
    except pickle.UnpicklingError as error:
        print("refused")
    else:
        print("opened", repr(value))
state["statistics_methods"] = {"mean": numpy.ones(1), "min": history.min.__func__}
HistoryBuffer.__getstate__ = lambda self: state
torch.save([history, numpy.ones(3)], sys.argv[1])
log, ones = torch.load(sys.argv[1], weights_only=True)
assert type(log) is HistoryBuffer and log.data[0].tolist() == [1, 1], log
assert type(log.data[0]) is numpy.ndarray
assert HistoryBuffer._statistics_methods == methods
assert type(pickle.loads(pickle.dumps(ones))) is numpy.ndarray
print("held")
"""


@pytest.mark.skipif(not has("add_safe_globals with names"), reason="this torch has no list")
def test_torch_does_not_crash_of_a_file_that_uses_the_names_wrongly(tmp_path: Path) -> None:
    said = in_a_new_process(HOSTILE, tmp_path / "c.pth")
    assert [line for line in said.splitlines() if line in ("refused", "held")] == [
        *["refused"] * 10,
        "held",
    ], said


class Runs:
    """Asks for ``function(*args)`` when it is unpickled."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.asked = function, args

    def __reduce__(self) -> Any:
        return self.asked


@pytest.mark.skipif(FALLS_BACK, reason="this MMEngine opens anything")
@pytest.mark.parametrize(
    ("evil", "named"),
    [
        (Runs(os.system, "touch {0}"), "posix.system"),
        (Runs(eval, "open({0!r}, 'w')"), "eval"),
        (Runs(getattr, HistoryBuffer, "__init__"), "HistoryBuffer.__init__"),
        (Runs(getattr, HistoryBuffer, "register_statistics"), "register_statistics"),
        (Runs(getattr, np.ndarray, "tofile"), "ndarray.tofile"),
    ],
    ids=["system", "eval", "init", "classmethod", "tofile"],
)
def test_a_file_that_asks_for_more_is_still_refused(evil: Runs, named: str, tmp_path: Path) -> None:
    allow_checkpoints()
    mark = tmp_path / "ran"
    function, args = evil.asked
    armed = Runs(function, *(a.format(str(mark)) if isinstance(a, str) else a for a in args))
    torch.save({"state_dict": {"a": torch.zeros(1)}, "message_hub": armed}, tmp_path / "c.pth")
    with pytest.raises(pickle.UnpicklingError, match=named):
        CheckpointLoader.load_checkpoint(str(tmp_path / "c.pth"), "cpu")
    assert not mark.exists()

"""The hook that compares model, losses, datasets and metrics before a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from mmseg_fixkit.core.diagnostics import Diagnostic, Severity
from mmseg_fixkit.core.errors import ClassCountError, FixkitError
from mmseg_fixkit.core.text import counted
from mmseg_fixkit.hooks.built_classes import (
    BUILT_CODES,
    MODEL_CODES,
    built_splits,
    check_classes,
)
from mmseg_fixkit.hooks.seen_classes import SeenClasses

ACTIONS = ("raise", "warn", "fix")


class ClassCountHook(Hook):
    """Stops a run whose model, losses, datasets and metrics disagree on the classes.

    Looks at the objects that were built, not at the config, before training, validation and test
    (``before_run``, which all three call once their loops exist), and reports all findings at
    once. STDC's boundary head, depth heads and one-channel heads of two classes are left alone.

    What the rules of ``check`` know beyond that is written to the log: a config that was changed
    on the command line, or in Python, is looked at as it runs.

    After a validation or a test with ``IoUMetric``, the log names the classes without ground truth
    and those that were never predicted: what a 0 or a nan in the table stands for.

    Args:
        action: ``'raise'`` stops the run; ``'warn'`` writes the findings to the log; ``'fix'``
            rebuilds the class layers of the built model for the classes of the dataset, with the
            heads' own initialisation, and stops for what that cannot repair.

    Raises:
        ClassCountError: findings remain; or ``'fix'`` has no model config, or a model that is
            already wrapped for several processes.
        ValueError: an unknown action.
    """

    # Before every other hook: EMAHook copies the model, RuntimeInfoHook the config in before_run.
    priority = "HIGHEST"

    def __init__(self, action: str = "raise") -> None:
        if action not in ACTIONS:
            raise ValueError(
                f"ClassCountHook: action is {action!r}, but one of {ACTIONS} is needed"
            )
        self.action = action
        self._seen = SeenClasses()

    def before_run(self, runner: Any) -> None:
        """Check the run, and repair it if asked."""
        findings = check_classes(runner.model, built_splits(runner))
        if self.action == "fix" and any(f.code in MODEL_CODES for f in findings):
            from mmseg_fixkit.hooks.rebuild_head import fix_model

            fix_model(runner)
            findings = check_classes(runner.model, built_splits(runner))
        self._report(runner, findings)
        if is_main_process():
            for found in of_config(runner.cfg):
                runner.logger.warning(f"{found.code} {found.name}: {found.message}")

    def before_val_epoch(self, runner: Any) -> None:
        """Begin to look at what is met."""
        self._seen = SeenClasses()

    before_test_epoch = before_val_epoch

    def after_val_iter(self, runner: Any, *_: Any, **__: Any) -> None:
        """Take the areas of the images of the batch."""
        self._seen.look(runner.val_loop.evaluator.metrics)

    def after_test_iter(self, runner: Any, *_: Any, **__: Any) -> None:
        """Take the areas of the images of the batch."""
        self._seen.look(runner.test_loop.evaluator.metrics)

    def after_val_epoch(self, runner: Any, metrics: Optional[dict[str, float]] = None) -> None:
        """Name the classes that were not met."""
        self._name(runner, "val")

    def after_test_epoch(self, runner: Any, metrics: Optional[dict[str, float]] = None) -> None:
        """Name the classes that were not met."""
        self._name(runner, "test")

    def _name(self, runner: Any, name: str) -> None:
        split = next((s for s in built_splits(runner) if s.name == name), None)
        for text in self._seen.words(split.classes if split else None):
            if is_main_process():
                runner.logger.info(text)  # MMEngine writes the same warning only once

    def _report(self, runner: Any, findings: Sequence[Diagnostic]) -> None:
        errors = [f for f in findings if f.severity is Severity.ERROR]
        if errors and self.action != "warn":
            raise ClassCountError(describe(findings, runner.cfg.filename))
        if findings and is_main_process():
            runner.logger.warning(describe(findings, runner.cfg.filename))


def of_config(config: Any) -> tuple[Diagnostic, ...]:
    """Return what ``check`` finds in a config beside what the built objects show."""
    from mmseg_fixkit.apis.check import check

    try:
        found = check(config).diagnostics
    except FixkitError:  # nothing in it can be checked
        return ()
    return tuple(d for d in found if d.code not in BUILT_CODES)


def describe(findings: Sequence[Diagnostic], config: Any) -> str:
    """Write the findings below each other, and what to do about them."""
    count = counted(len(findings), "finding")
    lines = [f"  {f.code} {f.name}: {f.message}" for f in findings]
    remedy = f"`mmseg-fix patch {config or 'CONFIG'}` writes a config in which they agree"
    if any(f.code in MODEL_CODES for f in findings):
        remedy += "; ClassCountHook(action='fix') rebuilds the class layers of this run's model"
    head = f"model, datasets and metrics do not agree on the classes, {count}:"
    return "\n".join([head, *lines, remedy])

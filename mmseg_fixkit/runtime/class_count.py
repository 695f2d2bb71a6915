"""The hook that holds model, losses, datasets and metrics together before a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from mmseg_fixkit.diagnostics import Diagnostic, Severity
from mmseg_fixkit.runtime.class_checks import MODEL_CODES, built_splits, check_classes
from mmseg_fixkit.runtime.errors import ClassCountError

ACTIONS = ("raise", "warn", "fix")


class ClassCountHook(Hook):
    """Stops a run whose model, losses, datasets and metrics disagree on the classes.

    Looks at the objects that were built, not at the config, before training, validation and test
    (``before_run``, which all three call once their loops exist), and reports all findings at
    once. STDC's boundary head, depth heads and one-channel heads of two classes are left alone.

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

    def before_run(self, runner: Any) -> None:
        """Check the run, and repair it if asked."""
        findings = check_classes(runner.model, built_splits(runner))
        if self.action == "fix" and any(f.code in MODEL_CODES for f in findings):
            from mmseg_fixkit.runtime.fix import fix_model

            fix_model(runner)
            findings = check_classes(runner.model, built_splits(runner))
        self._report(runner, findings)

    def _report(self, runner: Any, findings: Sequence[Diagnostic]) -> None:
        errors = [f for f in findings if f.severity is Severity.ERROR]
        if errors and self.action != "warn":
            raise ClassCountError(describe(findings, runner.cfg.filename))
        if findings and is_main_process():
            runner.logger.warning(describe(findings, runner.cfg.filename))


def describe(findings: Sequence[Diagnostic], config: Any) -> str:
    """Write the findings below each other, and what to do about them."""
    count = f"{len(findings)} finding{'s' if len(findings) != 1 else ''}"
    lines = [f"  {f.code} {f.name}: {f.message}" for f in findings]
    remedy = f"`mmseg-fix patch {config or 'CONFIG'}` writes a config in which they agree"
    if any(f.code in MODEL_CODES for f in findings):
        remedy += "; ClassCountHook(action='fix') rebuilds the class layers of this run's model"
    head = f"model, datasets and metrics do not agree on the classes, {count}:"
    return "\n".join([head, *lines, remedy])

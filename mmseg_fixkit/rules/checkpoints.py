"""Family 5: the checkpoint that a run starts from."""

from __future__ import annotations

from collections.abc import Iterator

from mmseg_fixkit.diagnostics import Diagnostic, Edit, finding
from mmseg_fixkit.registry import rule
from mmseg_fixkit.rules.context import Context


@rule("MSF501", "checkpoint-not-as-asked", requested=True)
def checkpoint_not_as_asked(context: Context) -> Iterator[Diagnostic]:
    """The run starts from another checkpoint than you asked for.

    ## What it does
    Speaks only in `mmseg-fix patch --load-from`. Sets `load_from`, and turns `resume` off:
    resuming takes the optimizer along, whose state belongs to the old heads.

    ## Why is this bad?
    It is no fault of the config; it is a change that you asked for.

    ## Example
    `mmseg-fix patch config.py --classes weed,crop --load-from pspnet_cityscapes.pth`

    ## Use instead
    The same command writes the change.

    ## Fix safety
    Safe, as you asked for it.

    ## References
    `Runner.load_or_resume` of mmengine 0.10.7.
    """
    wanted = context.wishes.load_from
    if wanted is None:
        return
    tree = context.document.tree
    if tree.get("load_from") != wanted:
        yield finding(
            ("load_from",),
            tree.get("load_from"),
            "you asked for",
            wanted,
            edits=[Edit(("load_from",), wanted)],
            title="Start from the checkpoint",
        )
    if tree.get("resume"):
        yield finding(
            ("resume",),
            True,
            "--load-from needs",
            False,
            edits=[Edit(("resume",), False)],
            title="Do not resume",
        )

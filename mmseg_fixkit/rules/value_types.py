"""Family 1: values of a type that the host does not take."""

from __future__ import annotations

from collections.abc import Iterator

from mmseg_fixkit.config.context import ConfigContext
from mmseg_fixkit.config.plan import WRONG_TYPE
from mmseg_fixkit.core.diagnostics import Diagnostic, Edit, finding
from mmseg_fixkit.core.rule import rule


@rule(WRONG_TYPE, "wrong-type")
def wrong_type(context: ConfigContext) -> Iterator[Diagnostic]:
    """A value is of a type that MMSegmentation does not take there.

    ## What it does

    Looks at the keys of heads, losses, datasets, pipelines, evaluators and hooks that the other
    rules read: a class count has to be a whole number, a pipeline a list, `data_prefix` a dict.
    For the other rules such a value is not there. Built objects are left alone.

    ## Why is this bad?

    The run stops when the part is built or used first, often with an error from deep inside
    PyTorch: `empty() received an invalid combination of arguments`, `'float' object has no
    attribute 'items'`.

    ## Example

    ```python
    model = dict(decode_head=dict(ignore_index=[255]))
    ```

    ## Use instead

    ```python
    model = dict(decode_head=dict(ignore_index=255))
    ```

    ## Fix safety

    Safe where a tuple stands for a list, as the run could not have started. There is no other fix:
    only you know what was meant. Where another rule knows what belongs there, such as the class
    count of a head, that rule speaks and sets it.

    ## References

    `BaseDecodeHead` and `BaseSegDataset` of mmsegmentation 1.2.2; `Runner`, `Compose` and
    `BaseDataset` of mmengine 0.10.7.
    """
    for wrong in context.document.wrong_types:
        if wrong.known:
            yield finding(
                wrong.key,
                wrong.found,
                "MMSegmentation needs",
                wrong.instead,
                shown=wrong.expected,
                edits=() if wrong.instead is None else [Edit(wrong.key, wrong.instead)],
                title="Write it as a list",
            )

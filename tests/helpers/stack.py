"""What tests ask of the installed stack: a test that needs more is skipped, and says what."""

from __future__ import annotations

import pytest

from mmseg_fixkit.core.compat import has, installed

#: Before 1.2 hosts have other losses, datasets and configs.
needs_mmseg_1_2 = pytest.mark.skipif(
    installed("mmseg") < (1, 2), reason="holds what mmsegmentation has since 1.2"
)
needs_read_base = pytest.mark.skipif(
    not has("read_base"), reason="new-style configs need MMEngine 0.8"
)

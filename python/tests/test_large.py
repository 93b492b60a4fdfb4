"""Arrays of more than 2³¹ elements: one of lazily mapped zeros, which takes hardly any memory."""

from __future__ import annotations

import os

import pytest


def available() -> int:
    with open("/proc/meminfo") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) << 10


@pytest.mark.timeout(300)
def test_more_elements_than_an_int32_counts(run_python):
    """Reductions, places, selections, rows of a table and products reach beyond 2³¹; what cannot raises."""
    if not os.path.exists("/proc/meminfo") or available() < 10 << 30:
        pytest.skip("needs 10 GiB of address space that the machine would grant")
    code = """
        import numpy as np
        import spinetail as st
        import spinetail.nn.functional as F
        n = 2**31 + 16
        x = np.zeros(n, np.float32)
        x[-3] = x[-1] = 2
        assert st.sum(x) == 4 and st.amax(x) == 2
        assert st.argmax(x) == n - 3
        assert st.topk(x, 2).indices.tolist() == [n - 3, n - 1]
        table = x.reshape(-1, 16)
        assert st.sum(table, 0).tolist() == [0] * 13 + [2, 0, 2]
        assert F.embedding(np.array([len(table) - 1]), table).sum() == 4
        assert (table[-5:] @ np.ones(16, np.float32))[-1] == 4
        try:
            F.max_pool1d(x[None, None], 2**20, return_indices=True)
        except ValueError as error:
            assert "less than 2³¹ elements" in str(error), error
        else:
            raise AssertionError("indices of int32 cannot name these places")
    """
    run_python(code, timeout=280)

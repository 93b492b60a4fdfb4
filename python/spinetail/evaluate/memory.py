"""The peak memory of a forward pass."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

from ..autograd import no_grad
from .running import arguments, call, evaluating

__all__ = ["memory"]


def memory(model: Any, example: Any) -> int:
    """The most bytes that one forward pass holds at a time beyond the model and its inputs.

    Measured with `tracemalloc`, which sees every array that NumPy allocates (activations, outputs, temporaries) and
    Python's own objects; the kernels' scratch memory, a few hundred kilobytes that are kept between calls, is not in
    it. The pass runs in evaluation mode, without gradients, after one that does not count.

    >>> import spinetail as st
    >>> st.evaluate.memory(st.nn.Linear(10, 1000), st.zeros(100, 10)) >= 100 * 1000 * 4
    True
    """
    inputs = arguments("memory", example)
    with evaluating(model), no_grad():
        call(model, inputs)
        gc.collect()
        running = tracemalloc.is_tracing()
        if not running:
            tracemalloc.start()
        try:
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            output = call(model, inputs)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            if not running:
                tracemalloc.stop()
    del output
    return max(0, peak - before)

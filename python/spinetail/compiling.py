"""`compile`, which returns what it is given: kernels are compiled ahead of time."""

from __future__ import annotations


def compile(
    model=None,
    *,
    fullgraph: bool = False,
    dynamic=None,
    backend="inductor",
    mode=None,
    options=None,
    disable: bool = False,
):
    """The function or module itself; without one, a decorator that returns what it decorates.

    >>> import spinetail as st
    >>> @st.compile(fullgraph=True)
    ... def double(x):
    ...     return x * 2
    >>> double(st.ones(1))
    tensor([2.])
    """
    return (lambda function: function) if model is None else model


class compiler:
    """PyTorch's `torch.compiler`: nothing is compiled."""

    @staticmethod
    def is_compiling() -> bool:
        """Whether code is being compiled: never."""
        return False

    @staticmethod
    def disable(fn=None, recursive: bool = True):
        """The function itself."""
        return (lambda function: function) if fn is None else fn

    @staticmethod
    def reset() -> None:
        """Nothing: no compiled code is kept."""

"""Whether operations are recorded: a switch for each thread, with PyTorch's context managers and decorators."""

from __future__ import annotations

from _thread import _local
from functools import wraps

from .._tape import enable, is_grad_enabled


class _State(_local):
    inference = False
    node = None  # the node that the engine runs, while it records second derivatives


state = _State()
enabled = is_grad_enabled


def is_inference_mode_enabled() -> bool:
    """Whether this thread is inside `inference_mode`."""
    return state.inference


class _Switch:
    """A grad mode as a context manager and as a decorator (with or without parentheses)."""

    __slots__ = ("before", "value")

    def __init__(self, value: bool) -> None:
        self.value = value
        self.before: list = []

    def __enter__(self) -> _Switch:
        self.before.append(enable(self.value))
        return self

    def __exit__(self, *exception: object) -> None:
        enable(self.before.pop())

    def __call__(self, function):
        fresh = self._fresh
        if getattr(function, "__code__", None) is not None and function.__code__.co_flags & 0x20:

            @wraps(function)
            def generate(*args, **kwargs):
                iterator = function(*args, **kwargs)
                sent = None
                while True:  # the mode holds while the generator runs, never while its caller does
                    try:
                        with fresh():
                            item = iterator.send(sent)
                    except StopIteration as stop:
                        return stop.value
                    sent = yield item

            return generate

        @wraps(function)
        def run(*args, **kwargs):
            with fresh():
                return function(*args, **kwargs)

        return run

    def _fresh(self) -> _Switch:
        return _Switch(self.value)


class no_grad(_Switch):
    """Run without recording, so that results require no gradient: `with no_grad():` or `@no_grad()`.

    >>> import spinetail as st
    >>> x = st.ones(2, requires_grad=True)
    >>> with st.no_grad():
    ...     (x * 2).requires_grad
    False
    """

    __slots__ = ()

    def __new__(cls, function=None):
        return object.__new__(cls) if function is None else cls()(function)

    def __init__(self, function=None) -> None:
        _Switch.__init__(self, False)


class enable_grad(_Switch):
    """Record again inside `no_grad`: `with enable_grad():` or `@enable_grad()`.

    >>> import spinetail as st
    >>> x = st.ones(2, requires_grad=True)
    >>> with st.no_grad(), st.enable_grad():
    ...     (x * 2).requires_grad
    True
    """

    __slots__ = ()

    def __new__(cls, function=None):
        return object.__new__(cls) if function is None else cls()(function)

    def __init__(self, function=None) -> None:
        _Switch.__init__(self, True)


class set_grad_enabled(_Switch):
    """Turn recording on or off, at once or as a context manager or decorator.

    >>> import spinetail as st
    >>> with st.set_grad_enabled(False):
    ...     st.is_grad_enabled()
    False
    >>> st.is_grad_enabled()
    True
    """

    __slots__ = ()

    def __init__(self, mode: bool) -> None:
        _Switch.__init__(self, bool(mode))
        self.before.append(enable(self.value))  # takes effect without `with`, as in PyTorch

    def __enter__(self) -> set_grad_enabled:
        enable(self.value)
        return self

    def __call__(self, function):
        enable(self.before.pop())
        return _Switch.__call__(self, function)


class inference_mode(_Switch):
    """Like `no_grad`, for code that never needs gradients: `with inference_mode():` or `@inference_mode()`.

    Tensors made inside are ordinary tensors that require no gradient; unlike PyTorch's they may be used in recorded
    work later.

    >>> import spinetail as st
    >>> with st.inference_mode():
    ...     st.is_grad_enabled(), st.is_inference_mode_enabled()
    (False, True)
    """

    __slots__ = ("was",)

    def __new__(cls, mode=True):
        return cls()(mode) if callable(mode) else object.__new__(cls)

    def __init__(self, mode: bool = True) -> None:
        _Switch.__init__(self, not mode)
        self.was: list = []

    def __enter__(self) -> inference_mode:
        self.was.append(state.inference)
        self.before.append(enable(self.value))
        state.inference = not self.value
        return self

    def __exit__(self, *exception: object) -> None:
        enable(self.before.pop())
        state.inference = self.was.pop()

    def _fresh(self) -> inference_mode:
        return inference_mode(not self.value)

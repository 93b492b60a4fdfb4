"""The names without an underscore, which PyTorch has kept from before 0.4."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from warnings import warn

from . import distribution, filling, matrix, variance


def _old(function: Callable[..., Any]) -> Callable[..., Any]:
    new = function.__name__
    old = new.rstrip("_")

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        warn(f"`nn.init.{old}` is now deprecated in favor of `nn.init.{new}`.", FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    call.__name__ = call.__qualname__ = old
    call.__doc__ = f"Deprecated: `{new}`."
    return call


uniform = _old(distribution.uniform_)
normal = _old(distribution.normal_)
constant = _old(filling.constant_)
eye = _old(filling.eye_)
dirac = _old(filling.dirac_)
xavier_uniform = _old(variance.xavier_uniform_)
xavier_normal = _old(variance.xavier_normal_)
kaiming_uniform = _old(variance.kaiming_uniform_)
kaiming_normal = _old(variance.kaiming_normal_)
orthogonal = _old(matrix.orthogonal_)
sparse = _old(matrix.sparse_)

"""Automatic mixed precision under PyTorch's names, so that scripts run: arithmetic stays in the tensors' own dtype."""

from __future__ import annotations

import warnings
from functools import wraps

_warned = False


class autocast:
    """A context manager and decorator that changes nothing: spinetail computes in the dtype of its tensors.

    The first one that is enabled says so with a UserWarning. `dtype` must be a floating-point type.

    >>> import spinetail as st
    >>> with st.amp.autocast("cpu", enabled=False):
    ...     (st.ones(2) * 2).dtype
    spinetail.float32
    """

    def __init__(
        self, device_type: str = "cpu", dtype=None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        if not isinstance(device_type, str):
            raise TypeError(f"[autocast] expected device_type of type str, got {type(device_type).__name__}")
        self.device, self.dtype, self.enabled = device_type, dtype, enabled

    def __enter__(self) -> autocast:
        global _warned
        if self.enabled and not _warned:
            _warned = True
            warnings.warn(
                "spinetail has no reduced-precision arithmetic yet: autocast leaves every tensor in its own dtype"
            )
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def __call__(self, function):
        @wraps(function)
        def run(*args, **kwargs):
            with self:
                return function(*args, **kwargs)

        return run


def is_autocast_available(device_type: str) -> bool:
    """Whether arithmetic in reduced precision is there: not yet."""
    return False


class GradScaler:
    """Loss scaling that changes nothing: gradients do not underflow in float32.

    `scale`, `unscale_`, `step` and `update` are there; `step(optimizer)` calls the optimizer.

    >>> import spinetail as st
    >>> scaler = st.amp.GradScaler("cpu")
    >>> scaler.scale(st.tensor(2.0)), scaler.is_enabled(), scaler.get_scale()
    (tensor(2.), False, 1.0)
    """

    def __init__(
        self,
        device: str = "cpu",
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        self.growth = growth_factor, backoff_factor, growth_interval

    def scale(self, outputs):
        """The outputs as they are."""
        return outputs

    def unscale_(self, optimizer) -> None:
        """Nothing: gradients are not scaled."""

    def step(self, optimizer, *args, **kwargs):
        """The optimizer's step."""
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale=None) -> None:
        """Nothing: the scale is always 1."""

    def get_scale(self) -> float:
        """The scale: 1."""
        return 1.0

    def is_enabled(self) -> bool:
        """Whether losses are scaled: never."""
        return False

    def state_dict(self) -> dict:
        """The state: empty."""
        return {}

    def load_state_dict(self, state_dict: dict) -> None:
        """Nothing: there is no state."""

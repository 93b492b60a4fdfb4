"""`device`, and the names that scripts ask for accelerators with: there is the CPU only."""

from __future__ import annotations

__all__ = [
    "are_deterministic_algorithms_enabled",
    "channels_last",
    "channels_last_3d",
    "contiguous_format",
    "device",
    "get_default_device",
    "get_float32_matmul_precision",
    "memory_format",
    "preserve_format",
    "set_default_device",
    "set_float32_matmul_precision",
    "strided",
    "use_deterministic_algorithms",
]


class device:
    """A device by name: `device("cpu")`, `device("cpu", 0)`. Any other kind raises a RuntimeError.

    >>> import spinetail as st
    >>> st.device("cpu"), st.device("cpu").type
    (device(type='cpu'), 'cpu')
    """

    __slots__ = ("index", "type")
    kinds = ("cpu", "cuda", "mps", "xpu", "hip", "xla", "meta", "mkldnn", "vulkan", "hpu", "mtia")

    def __init__(self, type: str | device, index: int | None = None) -> None:
        if isinstance(type, device):
            type, index = type.type, type.index if index is None else index
        if not isinstance(type, str):
            raise RuntimeError(f"[device] spinetail computes on the CPU; there is no device {type!r}")
        kind, _, number = type.partition(":")
        if kind not in self.kinds:
            raise RuntimeError(f"[device] {type!r} is not a device; there is 'cpu'")
        if kind != "cpu":
            raise RuntimeError(f"[device] spinetail computes on the CPU; there is no device {type!r}")
        self.type = kind
        self.index = int(number) if number else index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return (
            f"device(type={self.type!r})" if self.index is None else f"device(type={self.type!r}, index={self.index})"
        )

    def __enter__(self) -> device:
        return self

    def __exit__(self, *exception: object) -> None:
        return None


CPU = device("cpu")


class memory_format:
    """The order of an image's dimensions in memory. Layers take any; convolutions take both as they stand."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"spinetail.{self.name}"

    @property
    def order(self) -> tuple[int, ...] | None:
        """The axes from the outermost in memory to the innermost; None for the axes' own order."""
        rank = {"channels_last": 4, "channels_last_3d": 5}.get(self.name)
        return None if rank is None else (0, *range(2, rank), 1)


contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")
strided = "strided"
_precision = "highest"


def set_default_device(device_: str | device | None) -> None:
    """Accepts the CPU, where everything is. Raises: RuntimeError for any other device."""
    device("cpu" if device_ is None else device_)


def get_default_device() -> device:
    """The device of new tensors: the CPU."""
    return CPU


def set_float32_matmul_precision(precision: str) -> None:
    """Accepts "highest", "high" or "medium": products are always computed in full float32, which is the highest."""
    global _precision
    if precision not in ("highest", "high", "medium"):
        raise ValueError(f"[set_float32_matmul_precision] expected 'highest', 'high' or 'medium', not {precision!r}")
    _precision = precision


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` was given."""
    return _precision


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Nothing: every kernel always gives the same bits, on any number of threads."""


def are_deterministic_algorithms_enabled() -> bool:
    """Whether results repeat exactly: always."""
    return True

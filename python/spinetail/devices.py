"""`device`, and the names that scripts ask for accelerators with: there is the CPU only."""

from __future__ import annotations


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

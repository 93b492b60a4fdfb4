"""Keys and values of what a decoder has read, kept so that the next position need not compute them again."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..autograd import Tensor, wrap
from ..autograd.tape import enabled
from ..functional.generator import default_generator
from ..ops.attention_terms import Dropout, terms
from ..ops.cached_attention import cached_attention

__all__ = ["KVCache"]


class KVCache:
    """The keys and values of one attention layer, for all positions so far.

    Memory is taken in whole pages of `page_size` positions, and grows by half at least when it is full; with
    `max_length` that much is reserved at once, and the system hands it out as it is written. A rewind or reset
    keeps it.

    Shapes, with n new positions and s in all: `append` takes keys (batch, heads, n, width) and values
    (batch, heads, n, value_width), and returns those of all positions so far, (batch, heads, s, width) and
    (batch, heads, s, value_width). `heads` counts keys' heads: with grouped queries they are fewer than the queries'.
    `attend` takes queries (batch, h, l, width), h a multiple of `heads`, and returns (batch, h, l, value_width).
    dtype: how numbers are stored. float32, float64, float16: results are views, of the stored numbers; the first two
    take numbers of their own dtype, the others any floating point. float16 and bfloat16 keep half the memory of
    float32, each number within 2⁻¹¹ and 2⁻⁸ of its size. int8 keeps about a quarter: each position of each head has one
    float32 scale, its largest magnitude / 127, and is stored as a whole number of it, so that a number is at most half
    a scale (1/254 of that largest magnitude) off. From bfloat16 and int8, `append` returns float32 copies, while
    `attend` reads what is stored.
    Views stay right while positions are appended; after a rewind what is appended overwrites them.

    Raises: ValueError for shapes that do not fit, for more than `max_length` positions, and for int8 with numbers that
    are not finite; TypeError for dtypes that do not fit; RuntimeError for tensors that require a gradient, as there is
    no history in a cache: decode under `no_grad`.
    Source: the usual cache of decoders, e.g. transformers' StaticCache; int8 as in KVQuant's per-token baseline.

    >>> import spinetail as st
    >>> cache = st.nn.KVCache(batch=1, heads=2, width=4)
    >>> keys, values = cache.append(st.ones(1, 2, 3, 4), st.ones(1, 2, 3, 4))
    >>> keys, values = cache.append(st.zeros(1, 2, 1, 4), st.zeros(1, 2, 1, 4))
    >>> keys.shape == (1, 2, 4, 4), cache.length
    (True, 4)
    >>> cache.attend(st.ones(1, 8, 1, 4)).shape == (1, 8, 1, 4)
    True
    >>> cache.rewind(2)
    >>> cache.length, cache.nbytes
    (2, 16384)
    """

    def __init__(
        self,
        batch: int,
        heads: int,
        width: int,
        value_width: int | None = None,
        *,
        dtype: Any = dtypes.float32,
        page_size: int = 256,
        max_length: int | None = None,
    ) -> None:
        sizes = (batch, heads, width, width if value_width is None else value_width)
        if min(sizes) < 1 or page_size < 1 or (max_length is not None and max_length < 1):
            raise ValueError(
                "[KVCache] expected batch, heads, widths, page_size and max_length above 0, but got "
                f"{sizes}, {page_size} and {max_length}"
            )
        found = dtypes.as_dtype(dtype)
        if found not in _STORED:
            raise TypeError(f"[KVCache] expected one of {', '.join(map(str, _STORED))}, but got {dtype}")
        self.batch, self.heads, self.width, self.value_width = sizes
        self.dtype = found
        self.page_size = page_size
        self.max_length = max_length
        self.length = 0
        self._stores = [_Store(found, batch, heads, each) for each in sizes[2:]]
        if max_length is not None:
            self._grow(max_length)

    @property
    def capacity(self) -> int:
        """Positions that there is memory for."""
        return self._stores[0].numbers.shape[2]

    @property
    def nbytes(self) -> int:
        """Bytes of memory for `capacity` positions."""
        return sum(store.nbytes for store in self._stores)

    @property
    def keys(self) -> Tensor:
        """The keys so far, (batch, heads, length, width)."""
        return wrap(self._stores[0].read(self.length))

    @property
    def values(self) -> Tensor:
        """The values so far, (batch, heads, length, value_width)."""
        return wrap(self._stores[1].read(self.length))

    def append(self, key: Tensor | np.ndarray, value: Tensor | np.ndarray) -> tuple[Any, Any]:
        """Keep the keys and values of one or many new positions; the keys and values of all so far."""
        self._write(key, value)
        found = [store.read(self.length) for store in self._stores]
        if isinstance(key, Tensor) or isinstance(value, Tensor):
            return wrap(found[0]), wrap(found[1])
        return found[0], found[1]

    def attend(
        self,
        query: Tensor | np.ndarray,
        key: Tensor | np.ndarray | None = None,
        value: Tensor | np.ndarray | None = None,
        attn_mask: Tensor | np.ndarray | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = True,
        scale: float | None = None,
        *,
        window: int | tuple[int, int] | None = None,
        alibi_slopes: Tensor | np.ndarray | None = None,
        softcap: float | None = None,
    ) -> Any:
        """Attention of the newest positions' queries to all positions, after `key` and `value`, if any, are appended.

        As scaled_dot_product_attention with enable_gqa and causal="lower_right" (without `is_causal`: all positions are
        seen), but reads keys and values as they are stored, whatever the cache's dtype. Queries are float64 for a
        cache of float64, else float32, float16 or bfloat16, and so is the result.
        """
        if (key is None) != (value is None):
            raise ValueError("[KVCache] attend takes both key and value, or none of them")
        arrays = [a._array if isinstance(a, Tensor) else a for a in (query, attn_mask, alibi_slopes)]
        if isinstance(query, Tensor) and query.requires_grad and enabled():
            raise RuntimeError("[KVCache] query requires a gradient, and a cache has no history: use no_grad()")
        if key is not None and value is not None:
            self._write(key, value)
        options = terms(False, "lower_right", window, arrays[2], softcap, "KVCache.attend")
        if not is_causal:
            options = options._replace(right=terms(window=window).right)
        keys, values = self._stores
        end = self.length
        found = cached_attention(
            arrays[0], keys.numbers[:, :, :end], values.numbers[:, :, :end], keys.until(end), values.until(end),
            arrays[1], scale, Dropout(dropout_p, *default_generator.key()) if dropout_p else None, options,
        )  # fmt: skip
        return wrap(found) if isinstance(query, Tensor) else found

    def _write(self, key: Tensor | np.ndarray, value: Tensor | np.ndarray) -> None:
        arrays = [self._checked(*each) for each in (("key", key, self.width), ("value", value, self.value_width))]
        count = arrays[0].shape[2]
        if arrays[1].shape[2] != count:
            raise ValueError(f"[KVCache] key has {count} positions, but value has {arrays[1].shape[2]}")
        end = self.length + count
        if self.max_length is not None and end > self.max_length:
            raise ValueError(f"[KVCache] {self.length} and {count} more positions do not fit into {self.max_length}")
        if end > self.capacity:
            self._grow(max(end, min(self.capacity + self.capacity // 2, self.max_length or end * 2)))
        for store, array in zip(self._stores, arrays, strict=True):
            store.write(self.length, array)
        self.length = end

    def rewind(self, length: int) -> None:
        """Forget all but the first `length` positions."""
        if not 0 <= length <= self.length:
            raise ValueError(f"[KVCache] expected a length from 0 to {self.length}, but got {length}")
        self.length = length

    def reset(self) -> None:
        """Forget everything; the memory stays for what comes next."""
        self.length = 0

    def _checked(self, name: str, value: Any, width: int) -> np.ndarray:
        if not isinstance(value, (Tensor, np.ndarray)):
            raise TypeError(f"[KVCache] expected a Tensor or an ndarray as {name}, but got {type(value).__name__}")
        if isinstance(value, Tensor) and value.requires_grad and enabled():
            raise RuntimeError(f"[KVCache] {name} requires a gradient, and a cache has no history: use no_grad()")
        array = value._array if isinstance(value, Tensor) else value
        if array.ndim != 4 or (*array.shape[:2], array.shape[3]) != (self.batch, self.heads, width):
            raise ValueError(
                f"[KVCache] expected {name} of shape ({self.batch}, {self.heads}, n, {width}), "
                f"but got {list(array.shape)}"
            )
        plain = self.dtype if self.dtype in (dtypes.float32, dtypes.float64) else None
        if dtypes.of(array.dtype) not in ((plain,) if plain else _TAKEN):
            raise TypeError(f"[KVCache] {name} is {array.dtype}, which a cache of {self.dtype} does not take")
        return array

    def _grow(self, length: int) -> None:
        pages = -(-length // self.page_size)
        for store in self._stores:
            store.grow(pages * self.page_size, self.length)

    def __repr__(self) -> str:
        widths = f"{self.width}" if self.width == self.value_width else f"{self.width} and {self.value_width}"
        return (
            f"KVCache({self.batch}×{self.heads} heads of {widths}, {self.dtype}, {self.length} of {self.capacity} "
            f"positions, {self.nbytes} bytes)"
        )


_STORED = (dtypes.float32, dtypes.float64, dtypes.float16, dtypes.bfloat16, dtypes.int8)
_TAKEN = (dtypes.float32, dtypes.float64, dtypes.float16, dtypes.bfloat16)


class _Store:
    """Keys or values: numbers (batch, heads, capacity, width), and scales (batch, heads, capacity) if they are int8."""

    def __init__(self, dtype: Any, batch: int, heads: int, width: int) -> None:
        self.numbers = np.empty((batch, heads, 0, width), dtype.numpy)
        self.scales = np.empty((batch, heads, 0), np.float32) if dtype == dtypes.int8 else None
        self.widened = dtype in (dtypes.bfloat16, dtypes.int8)

    @property
    def nbytes(self) -> int:
        return self.numbers.nbytes + (0 if self.scales is None else self.scales.nbytes)

    def grow(self, capacity: int, length: int) -> None:
        self.numbers = _longer(self.numbers, capacity, length)
        if self.scales is not None:
            self.scales = _longer(self.scales, capacity, length)

    def write(self, start: int, array: np.ndarray) -> None:
        end = start + array.shape[2]
        if self.scales is None:
            self.numbers[:, :, start:end] = array
            return
        array = array.astype(np.float32, copy=False)
        largest = np.abs(array).max(-1)
        if not np.isfinite(largest).all():
            raise ValueError("[KVCache] a cache of int8 takes finite numbers only")
        scales = largest / np.float32(127)
        safe = np.where(scales > 0, scales, np.float32(1))[..., None]
        self.numbers[:, :, start:end] = np.clip(np.rint(array / safe), -127, 127)
        self.scales[:, :, start:end] = scales

    def until(self, length: int) -> np.ndarray | None:
        """The scales of so many positions, if there are any."""
        return None if self.scales is None else self.scales[:, :, :length]

    def read(self, length: int) -> np.ndarray:
        found = self.numbers[:, :, :length]
        if not self.widened:
            return found
        wide = found.astype(np.float32)
        if self.scales is not None:
            wide *= self.scales[:, :, :length, None]
        return wide


def _longer(old: np.ndarray, capacity: int, length: int) -> np.ndarray:
    new = np.empty((*old.shape[:2], capacity, *old.shape[3:]), old.dtype)
    new[:, :, :length] = old[:, :, :length]
    return new

"""Generators of random numbers that a seed repeats.

Behind a `Generator` stands NumPy's Philox, a counter-based generator. `numpy.random` is imported on first use.
"""

from __future__ import annotations

from _thread import _local

import numpy as np

from ..autograd.tape import wrap
from ..autograd.tensor import Tensor
from ..devices import CPU
from ..devices import device as Device
from .door import lift

__all__ = [
    "Generator",
    "default_generator",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
]


MASK = (1 << 64) - 1


class Generator:
    """A source of random numbers that `manual_seed` makes repeatable.

    >>> import spinetail as st
    >>> g = st.Generator().manual_seed(3)
    >>> a = st.rand(2, generator=g); g = g.manual_seed(3); st.equal(a, st.rand(2, generator=g))
    True
    """

    __slots__ = ("_numpy", "_offset", "_seed", "device")

    def __init__(self, device="cpu") -> None:
        Device(device)
        self.device = CPU
        self._seed: int | None = None
        self._numpy = None
        self._offset = 0

    def manual_seed(self, seed: int) -> Generator:
        """Start again from a seed, an integer below 2**64."""
        self._seed = int(seed) & MASK
        self._numpy = None
        self._offset = 0
        return self

    def seed(self) -> int:
        """Start again from a seed that the operating system chose, and return it."""
        import os

        self.manual_seed(int.from_bytes(os.urandom(8), "little"))
        return self._seed

    def initial_seed(self) -> int:
        """The seed that the generator started from."""
        return self.seed() if self._seed is None else self._seed

    @property
    def numpy(self):
        """The `numpy.random.Generator` that draws."""
        if self._numpy is None:
            from numpy.random import Generator as Numpy
            from numpy.random import Philox

            self._numpy = Numpy(Philox(key=self.initial_seed()))
        return self._numpy

    def key(self) -> tuple[int, int]:
        """A seed and a position for kernels that draw element i from (seed, position, i); each call gives a new one."""
        seed = self.initial_seed()
        self._offset += 1
        return seed, self._offset

    def get_state(self) -> Tensor:
        """The state as a tensor of bytes."""
        import json

        inner = self.numpy.bit_generator.state
        text = json.dumps([self._seed, self._offset, inner], default=lambda a: [int(v) for v in a])
        return wrap(np.frombuffer(text.encode(), np.uint8).copy())

    def set_state(self, state: Tensor) -> Generator:
        """Go back to a state of `get_state`."""
        import json

        try:
            seed, offset, inner = json.loads(bytes(lift(state)._array.tobytes()))
            self.manual_seed(seed)
            inner["buffer"] = np.array(inner["buffer"], np.uint64)
            inner["state"] = {name: np.array(values, np.uint64) for name, values in inner["state"].items()}
            self.numpy.bit_generator.state = inner
        except (ValueError, KeyError, TypeError) as error:
            raise RuntimeError("[set_state] this is not a state of a spinetail generator") from error
        self._offset = offset
        return self

    def __reduce__(self):
        return _restore, (self.get_state(),)


def _restore(state: Tensor) -> Generator:
    return Generator().set_state(state)


default_generator = Generator()
here = _local()  # `here.generator`: what a thread that prepares data has in place of the default generator


def default() -> Generator:
    """The calling thread's default generator."""
    return getattr(here, "generator", None) or default_generator


def source(generator: Generator | None) -> Generator:
    """The generator, or the default one for None."""
    if generator is None:
        return getattr(here, "generator", None) or default_generator
    if not isinstance(generator, Generator):
        raise TypeError(f"expected a Generator, but got {type(generator).__name__}")
    return generator


def manual_seed(seed: int) -> Generator:
    """Make the random numbers of the default generator repeatable.

    >>> import spinetail as st
    >>> st.manual_seed(0).initial_seed()
    0
    """
    return default().manual_seed(seed)


def seed() -> int:
    """Seed the default generator from the operating system; returns the seed."""
    return default().seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return default().initial_seed()


def get_rng_state() -> Tensor:
    """The state of the default generator."""
    return default().get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Set the state of the default generator."""
    default().set_state(new_state)

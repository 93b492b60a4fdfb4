"""The states of random generators and loaders, for a run that goes on as if it had not been interrupted."""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np

from ..data.sampler import Resumable
from ..functional.generator import Generator, default_generator


def generators(loader: Any) -> list[Generator]:
    """The default generator and those that the loader and its samplers draw from."""
    sampler, batches = getattr(loader, "sampler", None), getattr(loader, "batch_sampler", None)
    owners = (loader, sampler, batches, getattr(batches, "sampler", None))
    found = [default_generator, *(getattr(owner, "generator", None) for owner in owners)]
    return list({id(g): g for g in found if isinstance(g, Generator)}.values())


def samplers(loader: Any) -> list[Any]:
    """Samplers of the program's that have a state; those of `data` are part of the loader's."""
    batches = getattr(loader, "batch_sampler", None)
    found = (getattr(loader, "sampler", None), batches, getattr(batches, "sampler", None))
    own = {id(s): s for s in found if not isinstance(s, Resumable)}.values()
    return [s for s in own if hasattr(s, "state_dict") and hasattr(s, "load_state_dict")]


def place(loader: Any) -> dict[str, Any] | None:
    """Where the loader stands in its pass, if it can go on from there without reading what was before."""
    try:
        state = loader.state_dict() if hasattr(loader, "load_state_dict") else None
    except RuntimeError:  # workers that deliver out of order
        return None
    order = state.get("order") if isinstance(state, dict) else None
    return None if order is None or order.get("sampler", True) is None else state  # a sampler without a state


def get(loader: Any) -> dict[str, Any]:
    """All states: spinetail's generators, samplers, Python's and NumPy's global ones."""
    version, numbers, gauss = random.getstate()
    state: dict[str, Any] = {
        "generators": [generator.get_state() for generator in generators(loader)],
        "samplers": [sampler.state_dict() for sampler in samplers(loader)],
        "python": [version, np.array(numbers, np.int64), gauss],
    }
    if "numpy.random" in sys.modules:  # else nobody can have drawn from it
        name, key, *rest = np.random.get_state()
        state["numpy"] = [name, np.asarray(key).astype(np.int64), *rest]
    return state


def put(loader: Any, state: dict[str, Any]) -> None:
    """Go back to the states of `get`. Raises: ValueError for a loader with other generators or samplers."""
    for what, found in (("generators", generators(loader)), ("samplers", samplers(loader))):
        if len(found) != len(state[what]):
            raise ValueError(
                f"[fit] the checkpoint has the states of {len(state[what])} {what}, but the loader has {len(found)}: "
                "make it as it was made before"
            )
    for generator, value in zip(generators(loader), state["generators"], strict=True):
        generator.set_state(value)
    for sampler, value in zip(samplers(loader), state["samplers"], strict=True):
        sampler.load_state_dict(value)
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers.tolist()), gauss))
    if "numpy" in state:
        name, key, *rest = state["numpy"]
        np.random.set_state((name, key.astype(np.uint32), *rest))

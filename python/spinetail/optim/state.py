"""What an optimizer remembers about its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import numpy as np


class Entry(dict[str, Any]):
    """The state of one parameter. Putting another value under a name makes the optimizer look again."""

    changed: Callable[[], None] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


def _watched(method: Callable[..., Any]) -> Callable[..., Any]:
    def watched(self: Entry, *args: Any, **kwargs: Any) -> Any:
        if self.changed is not None:
            self.changed()
        return method(self, *args, **kwargs)

    watched.__name__ = method.__name__
    return watched


for _name in ("__setitem__", "__delitem__", "__ior__", "update", "pop", "popitem", "clear", "setdefault"):
    setattr(Entry, _name, _watched(getattr(dict, _name)))


class State(MutableMapping[Any, Any]):
    """Parameters (tensors or bare arrays, told apart by identity) and the state of each.

    Looking up a parameter that has no state yet gives an empty one, as in PyTorch.
    """

    def __init__(self, changed: Callable[[], None], items: Any = ()) -> None:
        self._changed = changed
        self._entries: dict[int, tuple[Any, Entry]] = {}
        for parameter, entry in items:
            self[parameter] = entry

    def __getitem__(self, parameter: Any) -> Entry:
        found = self._entries.get(id(parameter))
        if found is None:
            if not (isinstance(parameter, np.ndarray) or hasattr(parameter, "_array")):
                raise KeyError(parameter)
            self[parameter] = {}
            found = self._entries[id(parameter)]
        return found[1]

    def __setitem__(self, parameter: Any, entry: dict[str, Any]) -> None:
        watched = Entry(entry)
        watched.changed = self._changed
        self._entries[id(parameter)] = (parameter, watched)
        self._changed()

    def __delitem__(self, parameter: Any) -> None:
        if id(parameter) not in self._entries:
            raise KeyError(parameter)
        del self._entries[id(parameter)]
        self._changed()

    def __contains__(self, parameter: object) -> bool:
        return id(parameter) in self._entries

    def get(self, parameter: Any, default: Any = None) -> Any:
        found = self._entries.get(id(parameter))
        return default if found is None else found[1]

    def __iter__(self) -> Iterator[Any]:
        return iter([parameter for parameter, _ in self._entries.values()])

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"State({[entry for _, entry in self._entries.values()]})"

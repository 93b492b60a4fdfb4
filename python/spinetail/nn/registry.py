"""The dicts in which a module lists its parameters, buffers and children."""

from __future__ import annotations

from typing import Any
from weakref import ref

_missing = object()


class Registry(dict):
    """A dict whose entries are also attributes of the module that owns it.

    So `module.weight` is an ordinary attribute, as fast as any, and writing `module._parameters["weight"]` changes it.
    The owner is held weakly: a module without other references is freed at once.
    """

    __slots__ = ("owner",)

    def __init__(self, owner: ref[Any], items: dict[str, Any] | None = None) -> None:
        self.owner = owner
        if items:
            for name, value in items.items():
                self[name] = value

    def _attributes(self) -> dict[str, Any]:
        owner = self.owner()
        return {} if owner is None else owner.__dict__

    def __setitem__(self, name: str, value: Any) -> None:
        dict.__setitem__(self, name, value)
        self._attributes()[name] = value

    def __delitem__(self, name: str) -> None:
        dict.__delitem__(self, name)
        self._attributes().pop(name, None)

    def pop(self, name: str, default: Any = _missing) -> Any:
        if name not in self and default is not _missing:
            return default
        value = self[name]
        del self[name]
        return value

    def popitem(self) -> tuple[str, Any]:
        name, value = dict.popitem(self)
        self._attributes().pop(name, None)
        return name, value

    def clear(self) -> None:
        for name in list(self):
            del self[name]

    def setdefault(self, name: str, default: Any = None) -> Any:
        if name not in self:
            self[name] = default
        return self[name]

    def update(self, *others: Any, **items: Any) -> None:
        for name, value in dict(*others, **items).items():
            self[name] = value

    def __ior__(self, other: Any) -> Registry:  # type: ignore[override,misc]
        self.update(other)
        return self

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return dict, (dict(self),)

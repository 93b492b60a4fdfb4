"""Nested dicts, lists and scalars with arrays in them, as flat named arrays and a line of JSON.

Arrays get their path as name (`model.fc.weight`, `state.0.exp_avg`), so any reader of safetensors finds them. JSON
keeps the rest: what JSON cannot say is an object with one key that begins with `$`.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd import Tensor
from ..autograd.tape import wrap

KEY = "spinetail.structure"
DEPTH = 64


def flatten(value: object) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays inside `value` by name, and the metadata from which `restore` rebuilds it."""
    arrays: dict[str, np.ndarray] = {}
    tree = _pack(value, "", arrays, 0)
    metadata = {"format": "pt"}
    if isinstance(value, dict) and arrays.keys() == value.keys() and all(isinstance(v, Tensor) for v in value.values()):
        tree = {"$flat": type(value) is OrderedDict}
    if tree != {"$flat": False}:
        metadata[KEY] = json.dumps(tree, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return arrays, metadata


def restore(arrays: dict[str, np.ndarray], metadata: dict[str, str], source: str) -> Any:
    """What `flatten` was given; a dict of Tensors for a file that says nothing about its structure."""
    text = metadata.get(KEY)
    if text is None:
        return {name: wrap(array) for name, array in arrays.items()}
    try:
        if json.loads(text) == {"$flat": True}:
            return OrderedDict((name, wrap(array)) for name, array in arrays.items())
        return _unpack(json.loads(text), arrays)
    except RecursionError:
        raise ValueError(f"[load] the structure of {source} is nested too deeply") from None
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"[load] the structure of {source} is not valid: {error}") from None


def _name(path: str, arrays: dict[str, np.ndarray]) -> str:
    """`path`, changed where it is taken: {'a.b': x, 'a': {'b': y}} has two of the same path."""
    name, count = path or "tensor", 1
    while name in arrays or name == "__metadata__":
        count += 1
        name = f"{path}~{count}"
    return name


def _pack(value: Any, path: str, arrays: dict[str, np.ndarray], depth: int) -> object:
    kind = type(value)
    if value is None or kind is bool or kind is int or kind is str:
        return value
    if kind is float:
        return value if value - value == 0 else {"$float": repr(value)}
    if isinstance(value, Tensor):
        return _pack_array("$tensor", value._array, path, arrays)
    if isinstance(value, np.ndarray):
        if kind is not np.ndarray:
            raise TypeError(f"[save] {_where(path)} is a {kind.__name__}; only plain arrays can be saved")
        return _pack_array("$array", value, path, arrays)
    if isinstance(value, np.generic):
        return _pack_array("$scalar", np.asarray(value), path, arrays)
    if isinstance(value, dtypes.dtype):
        return {"$dtype": value.name}
    if depth == DEPTH:
        raise ValueError(f"[save] {_where(path[:60])} is nested deeper than {DEPTH} levels, or contains itself")
    below = path + "." if path else ""
    if kind is list or kind is tuple:
        items = [_pack(item, f"{below}{i}", arrays, depth + 1) for i, item in enumerate(value)]
        return items if kind is list else {"$tuple": items}
    if isinstance(value, dict):
        plain = kind is not OrderedDict and all(type(key) is str and key[:1] != "$" for key in value)
        if plain:
            return {key: _pack(item, below + key, arrays, depth + 1) for key, item in value.items()}
        pairs = [[_pack_key(k, path), _pack(v, f"{below}{k}", arrays, depth + 1)] for k, v in value.items()]
        return {"$ordered" if kind is OrderedDict else "$dict": pairs}
    if hasattr(value, "state_dict"):
        raise TypeError(
            f"[save] {_where(path)} is a {kind.__name__}: saving it whole would need pickle; "
            "save its state_dict() and load that into a new one with load_state_dict"
        )
    raise TypeError(
        f"[save] {_where(path)} is a {kind.__name__}; a file can hold tensors, arrays, numbers, strings, None, "
        "and dicts, lists and tuples of these"
    )


def _pack_array(tag: str, array: np.ndarray, path: str, arrays: dict[str, np.ndarray]) -> dict[str, str]:
    if array.dtype.hasobject or array.dtype.kind not in "biufV":
        raise TypeError(f"[save] {_where(path)} is an array of dtype {array.dtype}, which a file cannot hold")
    name = _name(path, arrays)
    arrays[name] = array
    return {tag: name}


def _pack_key(key: Any, path: str) -> object:
    if isinstance(key, tuple):
        return {"$tuple": [_pack_key(item, path) for item in key]}
    if type(key) not in (str, int, float, bool, type(None)) or key != key:
        raise TypeError(
            f"[save] {_where(path)} has the key {key!r}; keys can be strings, numbers, None and tuples of these"
        )
    return _pack(key, path, {}, 0)


def _where(path: str) -> str:
    return f"the value at {path!r}" if path else "the object"


def _unpack(tree: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(tree, list):
        return [_unpack(item, arrays) for item in tree]
    if not isinstance(tree, dict):
        return tree
    tag = next(iter(tree), "")
    if tag[:1] != "$":
        return {key: _unpack(item, arrays) for key, item in tree.items()}
    if len(tree) != 1:
        raise ValueError(f"{tag} stands beside other keys")
    body = tree[tag]
    if tag in ("$tensor", "$array", "$scalar"):
        if not isinstance(body, str) or body not in arrays:
            raise ValueError(f"there is no array named {body!r}")
        array = arrays[body]
        return wrap(array) if tag == "$tensor" else array if tag == "$array" else array[()]
    if tag == "$float":
        if body not in ("nan", "inf", "-inf"):
            raise ValueError(f"{body!r} is not one of nan, inf and -inf")
        return float(body)
    if tag == "$dtype":
        return dtypes.as_dtype(str(body))
    if tag == "$tuple" and isinstance(body, list):
        return tuple([_unpack(item, arrays) for item in body])
    if tag in ("$dict", "$ordered") and isinstance(body, list):
        pairs = [(_unpack(key, arrays), _unpack(item, arrays)) for key, item in body]
        return OrderedDict(pairs) if tag == "$ordered" else dict(pairs)
    raise ValueError(f"{tag} is not known to this version")

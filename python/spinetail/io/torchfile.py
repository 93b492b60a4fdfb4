"""Reading what `torch.save` writes, `.pt` and `.pth`, without running any code of the file.

A file is a zip archive with a pickle and one record of bytes for each storage, or, before PyTorch 1.6, five pickles
and the storages behind them. A tensor is a view of a storage: tensors that shared one share memory here too.

Source: torch/serialization.py and torch/_utils.py of PyTorch.
"""

from __future__ import annotations

import os
from collections import Counter, OrderedDict
from collections.abc import Callable
from math import prod
from typing import IO, Any

import numpy as np

from .. import dtypes
from ..autograd.tape import wrap
from ..devices import CPU
from ..functional.size import Size
from .pickles import Known, Machine, plain

PICKLE_LIMIT = 1 << 26  # 64 MiB: a pickle has names and shapes only
LEGACY = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."  # the pickle of the old format's magic number
VERSION = 1001
STORAGES = {
    "Float": "float32", "Double": "float64", "Half": "float16", "BFloat16": "bfloat16", "Long": "int64", "Int": "int32",
    "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool",
}  # fmt: skip


class Storage:
    """A flat array that tensors of a file are views of; `array` is None while only the pickle is looked through."""

    __slots__ = ("array", "dtype")

    def __init__(self, dtype: dtypes.dtype | None, array: np.ndarray | None) -> None:
        self.dtype = dtype  # None for bytes whose type each tensor gives
        self.array = array


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Any:
    """A tensor on a storage: the next two are requires_grad and hooks, and what may follow is of complex numbers."""
    if any(isinstance(extra, dict) and any(extra.values()) for extra in rest[2:]):
        raise ValueError("a tensor is a conjugate or negative view, which is not read")
    return _view(storage, storage.dtype, offset, size, stride)


def _tensor_of(storage: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any, dtype: Any, *rest: Any) -> Any:
    """A tensor on a storage of bytes."""
    if not isinstance(dtype, dtypes.dtype):
        raise ValueError("a tensor's dtype is not one")
    return _view(storage, dtype, offset, size, stride)


def _view(storage: Storage, dtype: Any, offset: Any, size: Any, stride: Any) -> Any:
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or len(size) > 32 or not all(type(n) is int and 0 <= n < 1 << 62 for n in numbers):
        raise ValueError("a tensor's offset, size or stride are not integers that can be")
    if storage.array is None:
        return None
    if dtype is None:
        raise ValueError("a tensor on a storage of bytes has no dtype")
    array, step = storage.array, dtype.itemsize
    last = (offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) + 1) * step if 0 not in size else 0
    if last > array.nbytes or prod(n for n in size if n) * step >= 1 << 63:
        raise ValueError(
            f"a tensor of offset {offset}, size {tuple(size)} and stride {tuple(stride)} is larger than its storage "
            f"of {array.nbytes} bytes"
        )
    strides = tuple([s * step if last or s * step < 1 << 62 else step for s in stride])
    view = np.ndarray(tuple(size), dtype.numpy, array, offset * step if last else 0, strides)
    if dtype == dtypes.bool and view.size and view.view(np.uint8).max() > 1:
        raise ValueError("a tensor of booleans has bytes other than 0 and 1")
    return wrap(view)


def _parameter(data: Any, *rest: Any) -> Any:
    return data


def _ordered(*items: Any) -> OrderedDict:
    return OrderedDict([(plain(key), value) for key, value in items[0]] if items else [])


def _counter(*items: Any) -> Counter:
    if items and not isinstance(items[0], dict):
        raise ValueError("a Counter is not made of a dict")
    return Counter(*items)


def _set(items: Any = ()) -> set:
    return {plain(item) for item in items}


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "utf-8"):
        raise ValueError(f"bytes are in the encoding {encoding!r}")
    return text.encode(encoding)


def _from_type(function: Any, kind: Any, arguments: Any, state: Any = None) -> Any:
    """A tensor with attributes, which are left out."""
    if not isinstance(function, Known) or function.name not in CALLS or not isinstance(arguments, tuple):
        raise ValueError("a tensor is made by something that is not known")
    return CALLS[function.name](*arguments)


CALLS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
}
KNOWN: dict[str, Known] = {
    name: Known(name, call)
    for name, call in {
        **CALLS,
        "torch._tensor._rebuild_from_type_v2": _from_type,
        "torch.Size": lambda items=(): Size(items),
        "torch.device": lambda *place: CPU,
        "collections.OrderedDict": _ordered,
        "collections.Counter": _counter,
        "builtins.set": _set,
        "__builtin__.set": _set,
        "_codecs.encode": _encode,
    }.items()
}
KNOWN.update({f"torch.{d.name}": Known(d.name, None, d) for d in dtypes.ALL})
KNOWN.update({f"torch.{s}Storage": Known(s, None, Storage(getattr(dtypes, d), None)) for s, d in STORAGES.items()})
KNOWN["torch.storage.UntypedStorage"] = KNOWN["torch.UntypedStorage"] = Known("untyped", None, Storage(None, None))
KNOWN["torch.Tensor"] = KNOWN["torch.nn.parameter.Parameter"] = Known("a kind of tensor", None, None)


def _reference(what: Any) -> tuple[Storage, str, int]:
    """The kind, key and bytes of a storage that a pickle refers to."""
    match what:
        case ("storage", Storage() as kind, str(key), str(), int(numel), *view) if not any(view) and numel >= 0:
            return kind, key, numel * (kind.dtype.itemsize if kind.dtype else 1)
    raise ValueError("the pickle refers to a storage in a way that is not known")


def read_zip(file: IO[bytes], source: str) -> Any:
    """What is in the zip archive that `torch.save` wrote; `source` names the file in errors."""
    from zipfile import ZIP_STORED, BadZipFile, ZipFile

    try:
        with ZipFile(file) as archive:
            records = {record.filename: record for record in archive.infolist()}
            names = [name for name in records if name.endswith("/data.pkl") and name.count("/") == 1]
            if len(names) != 1:
                numpy = records and all(name.endswith(".npy") for name in records)
                hint = "numpy.load reads it" if numpy else "there is no pickle in it"
                raise ValueError(f"it is a zip archive, but not one of torch.save: {hint}")
            folder = names[0][: -len("data.pkl")]
            if f"{folder}constants.pkl" in records:
                raise ValueError("it is a TorchScript archive, which holds code: save the model's state_dict()")
            for record in records.values():
                if record.compress_type != ZIP_STORED or record.file_size != record.compress_size:
                    raise ValueError(f"its record {record.filename!r} is compressed, as torch.save never does")
            size = file.seek(0, os.SEEK_END)
            if sum(record.file_size for record in records.values()) > size:
                raise ValueError("its records overlap")
            if records[names[0]].file_size > PICKLE_LIMIT:
                raise ValueError(f"its pickle has more than {PICKLE_LIMIT} bytes")
            order = archive.read(f"{folder}byteorder") if f"{folder}byteorder" in records else b"little"
            if order != b"little":
                raise ValueError(f"it was written on a machine of byte order {order[:10]!r}")
            found: dict[str, np.ndarray] = {}

            def storage(what: Any) -> Storage:
                kind, key, nbytes = _reference(what)
                if key not in found:
                    record = records.get(f"{folder}data/{key}")
                    if record is None or record.file_size != nbytes:
                        there = "is missing" if record is None else f"has {record.file_size} bytes"
                        raise ValueError(f"storage {key!r} of {nbytes} bytes {there}")
                    found[key] = np.empty(nbytes, np.uint8)
                    with archive.open(record) as part:
                        _fill(found[key], part)
                elif found[key].nbytes != nbytes:
                    raise ValueError(f"storage {key!r} has {found[key].nbytes} bytes, and elsewhere {nbytes}")
                return Storage(kind.dtype, found[key])

            return _whole(Machine(archive.read(names[0]), 0, KNOWN, storage).run())
    except (BadZipFile, NotImplementedError, EOFError, OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"[load] cannot read {source}: {error}") from None


def read_legacy(file: IO[bytes], source: str) -> Any:
    """What is in a file of PyTorch's format before 1.6."""
    data = file.read()
    try:
        return _legacy(data)
    except ValueError as error:
        raise ValueError(f"[load] cannot read {source}: {error}") from None


def _legacy(data: bytes) -> Any:
    version = Machine(data, len(LEGACY), KNOWN)
    if version.run() != VERSION:
        raise ValueError("its version is not known")
    system = Machine(data, version.position, KNOWN)
    about = system.run()
    if not isinstance(about, dict) or about.get("little_endian") is not True:
        raise ValueError("it was written on a machine of another byte order")
    wanted: dict[str, tuple[Storage, int]] = {}

    def note(what: Any) -> Storage:
        kind, key, nbytes = _reference(what)
        if wanted.setdefault(key, (kind, nbytes))[1] != nbytes:
            raise ValueError(f"storage {key!r} has {wanted[key][1]} bytes, and elsewhere {nbytes}")
        return Storage(kind.dtype, None)

    first = Machine(data, system.position, KNOWN, note)
    first.run()
    keys = Machine(data, first.position, KNOWN)
    listed = keys.run()
    if not isinstance(listed, list) or not all(type(key) is str for key in listed) or set(listed) != wanted.keys():
        raise ValueError("its list of storages is not the one that its tensors need")
    arrays, position = {}, keys.position
    for key in listed:
        kind, nbytes = wanted[key]
        numel = int.from_bytes(data[position : position + 8], "little")
        if numel * (kind.dtype.itemsize if kind.dtype else 1) != nbytes or position + 8 + nbytes > len(data):
            raise ValueError(f"it is truncated, or storage {key!r} is not of {nbytes} bytes")
        arrays[key] = np.frombuffer(data, np.uint8, nbytes, position + 8).copy()
        position += 8 + nbytes
    if position != len(data):
        raise ValueError("there is more behind its last storage")

    def storage(what: Any) -> Storage:
        kind, key, _ = _reference(what)
        return Storage(kind.dtype, arrays[key])

    return _whole(Machine(data, system.position, KNOWN, storage).run())


def _whole(value: Any) -> Any:
    if isinstance(value, Storage):
        raise ValueError("it holds a storage without a tensor")
    return value


def _fill(target: np.ndarray, part: IO[bytes]) -> None:
    done = 0
    while done < target.size:
        piece = part.read(min(1 << 24, target.size - done))
        if not piece:
            raise ValueError("a record is truncated")
        target[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
        done += len(piece)

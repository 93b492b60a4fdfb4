"""The safetensors format: named arrays in one file, without code in it and without surprises.

A file is eight bytes (the header's length, little-endian), a JSON header that gives each array's dtype, shape and
place, and the arrays' bytes, in C order, one after another without holes. A reader that believes nothing is short
enough to be ours: every number of the header is checked against the file's size before memory is allocated.

Source: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from math import prod
from typing import IO, Any

import numpy as np

from .. import dtypes

HEADER_LIMIT = 1 << 23  # 8 MiB: some 60,000 arrays; a larger header only serves to fill the reader's memory
CHUNK = 1 << 24
NAMES = {
    "BOOL": dtypes.bool,
    "U8": dtypes.uint8,
    "I8": dtypes.int8,
    "U16": dtypes.uint16,
    "I16": dtypes.int16,
    "U32": dtypes.uint32,
    "I32": dtypes.int32,
    "U64": dtypes.uint64,
    "I64": dtypes.int64,
    "F16": dtypes.float16,
    "BF16": dtypes.bfloat16,
    "F32": dtypes.float32,
    "F64": dtypes.float64,
}
CODES = {dtype: name for name, dtype in NAMES.items()}


def encode(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> tuple[bytes, list[np.ndarray]]:
    """The header of a file that holds `arrays`, and flat byte arrays to write after it, in order."""
    order = sorted(arrays, key=lambda name: -arrays[name].dtype.itemsize)  # so that each array is aligned to its type
    places, offset = {}, 0
    for name in order:
        places[name] = offset
        offset += arrays[name].nbytes
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    for name, array in arrays.items():
        try:
            code = CODES[dtypes.of(array.dtype)]
        except (TypeError, KeyError):
            raise TypeError(
                f"[save] {name!r} has dtype {array.dtype}, but a file can hold {', '.join(NAMES)}"
            ) from None
        header[name] = {
            "dtype": code,
            "shape": list(array.shape),
            "data_offsets": [places[name], places[name] + array.nbytes],
        }
    try:
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError:
        raise ValueError("[save] a name or a string has characters that UTF-8 cannot express") from None
    text += b" " * (-len(text) % 8)
    if len(text) > HEADER_LIMIT:
        raise ValueError(
            f"[save] {len(arrays)} arrays with their names and values need a header of {len(text)} bytes, "
            f"but at most {HEADER_LIMIT} are allowed"
        )
    return len(text).to_bytes(8, "little") + text, [_bytes(arrays[name]) for name in order]


def _bytes(array: np.ndarray) -> np.ndarray:
    """The array's little-endian bytes in C order (a copy only where the array is laid out otherwise)."""
    if array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and sys.byteorder == "big"):
        array = array.astype(array.dtype.newbyteorder("<"))
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def write(file: IO[bytes], arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write `arrays` and the strings of `metadata` to a binary file."""
    header, parts = encode(arrays, metadata)
    file.write(header)
    for part in parts:
        for start in range(0, part.size, CHUNK):
            file.write(part[start : start + CHUNK].data)


def read(file: IO[bytes], source: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays, in the header's order, and the metadata of a seekable binary file; `source` names it in errors.

    Raises: ValueError for a file that is not whole, consistent safetensors.
    """
    begin = file.tell()
    size = file.seek(0, os.SEEK_END) - begin
    file.seek(begin)
    first = file.read(8)
    _refuse_others(first, source)
    if len(first) < 8:
        raise ValueError(
            f"[load] {source} ends after {len(first)} bytes, but safetensors files begin with 8 bytes of length"
        )
    length = int.from_bytes(first, "little")
    if length > HEADER_LIMIT:
        raise ValueError(f"[load] {source} claims a header of {length} bytes, but at most {HEADER_LIMIT} are allowed")
    if length > size - 8:
        raise ValueError(f"[load] {source} claims a header of {length} bytes, but only {max(size - 8, 0)} bytes follow")
    header, metadata = parse(file.read(length), source)
    total = check(header, source)
    if total != size - 8 - length:
        what = "is truncated" if total > size - 8 - length else "has more bytes than it should"
        raise ValueError(
            f"[load] {source} {what}: its arrays take {total} bytes, but {size - 8 - length} follow the header"
        )
    arrays = {}
    for name, (dtype, shape, _, _) in header.items():
        arrays[name] = np.empty(shape, dtype.numpy)
    for name in sorted(header, key=lambda name: header[name][2]):
        _fill(arrays[name], file, name, source)
    return arrays, metadata


def parse(text: bytes, source: str) -> tuple[dict[str, tuple[Any, ...]], dict[str, str]]:
    """(dtype, shape, begin, end) of each array, and the metadata, from a header."""

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(items)
        if len(found) != len(items):
            names = [name for name, _ in items]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"the name {twice!r} occurs twice")
        return found

    if not text.startswith(b"{"):
        raise ValueError(f"[load] {source} is not a safetensors file: its header does not begin with a brace")
    try:
        header = json.loads(text.decode(), object_pairs_hook=pairs, parse_constant=_no_constant, parse_float=_no_float)
    except RecursionError:
        raise ValueError(f"[load] the header of {source} is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"[load] the header of {source} is not valid: {error}") from None
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError(f"[load] the metadata of {source} is not a map from strings to strings")
    return {name: _entry(name, entry, source) for name, entry in header.items()}, metadata


def _entry(name: str, entry: object, source: str) -> tuple[Any, ...]:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"[load] the entry of {name!r} in {source} should have dtype, shape and data_offsets only")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in NAMES:
        raise ValueError(f"[load] {name!r} in {source} has dtype {dtype!r}, but only {', '.join(NAMES)} can be read")
    for what, numbers in (("shape", shape), ("data_offsets", offsets)):
        if not isinstance(numbers, list) or not all(type(n) is int and 0 <= n < 1 << 63 for n in numbers):
            raise ValueError(f"[load] the {what} of {name!r} in {source} should be non-negative integers")
    if len(shape) > 32 or len(offsets) != 2:
        raise ValueError(
            f"[load] {name!r} in {source} has {len(shape)} axes and {len(offsets)} offsets (at most 32, and 2)"
        )
    if prod(n for n in shape if n) * NAMES[dtype].itemsize >= 1 << 63:
        raise ValueError(f"[load] {name!r} in {source} has a shape that no machine can hold: {tuple(shape)}")
    needed = prod(shape) * NAMES[dtype].itemsize
    if offsets[1] - offsets[0] != needed:
        raise ValueError(
            f"[load] {name!r} in {source} has {dtype} and shape {tuple(shape)}, which takes {needed} bytes, "
            f"but its offsets {tuple(offsets)} span {offsets[1] - offsets[0]}"
        )
    return NAMES[dtype], tuple(shape), offsets[0], offsets[1]


def check(header: Mapping[str, tuple[Any, ...]], source: str) -> int:
    """The bytes that the arrays take; a ValueError where they overlap or leave holes."""
    end = 0
    for name, (_, _, begin, stop) in sorted(header.items(), key=lambda item: item[1][2:]):
        if begin != end:
            what = "overlaps the array before it" if begin < end else "leaves a hole before it"
            raise ValueError(f"[load] {name!r} in {source} begins at byte {begin}, which {what} (expected {end})")
        end = stop
    return end


def _fill(array: np.ndarray, file: IO[bytes], name: str, source: str) -> None:
    target = array.reshape(-1).view(np.uint8)
    done = 0
    while done < target.size:
        piece = file.read(min(CHUNK, target.size - done))
        if not piece:
            raise ValueError(f"[load] {source} is truncated: it ended inside {name!r}")
        target[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
        done += len(piece)
    if array.dtype == np.bool_ and target.size and target.max() > 1:
        raise ValueError(f"[load] {name!r} in {source} should hold booleans, but has bytes other than 0 and 1")
    if sys.byteorder == "big" and array.dtype.itemsize > 1:
        array.byteswap(inplace=True)


def _refuse_others(first: bytes, source: str) -> None:
    if len(first) == 8 and int.from_bytes(first, "little") <= HEADER_LIMIT:
        return  # a header of 0x480 bytes begins as a pickle does, but no pickle goes on with so many zeros
    if first[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        raise ValueError(
            f"[load] {source} is a pickle file, and loading one can run code: files of save, of torch.save and of "
            "safetensors are read"
        )


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _no_float(text: str) -> None:
    raise ValueError(f"{text} is not an integer")

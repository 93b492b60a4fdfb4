"""`save` and `load`: state dicts, checkpoints and single tensors in safetensors files; PyTorch's files are read too."""

from __future__ import annotations

import os
from typing import IO, Any

from . import files, safetensors, structure, torchfile


def save(obj: object, f: str | os.PathLike | IO[bytes]) -> None:
    """Save tensors, and dicts, lists and tuples of them, to a safetensors file.

    `obj` may be a `state_dict()` of a model or an optimizer, a checkpoint such as
    `{"model": model.state_dict(), "epoch": 3}`, a single tensor, or anything nested of these with arrays, numbers,
    strings and None; dicts may have numbers as keys. Tensors are stored without their history, in any layout and in
    every dtype but complex; one that occurs twice is stored twice. Other tools read the file: each tensor has its path
    as name. There is no pickle, so a whole `Module` or another Python object is refused.

    `f` is a path, whose file is replaced as a whole (written beside it, made durable, renamed), or a binary file
    open for writing.

    Raises: TypeError for an object that a file cannot hold; ValueError for one nested deeper than 64 levels.

    >>> import os, tempfile, spinetail as st
    >>> path = os.path.join(tempfile.mkdtemp(), "checkpoint.safetensors")
    >>> st.save({"model": {"weight": st.ones(2, 2)}, "epoch": 3}, path)
    >>> st.load(path)["epoch"]
    3
    """
    arrays, metadata = structure.flatten(obj)
    if hasattr(f, "write"):
        safetensors.write(f, arrays, metadata)
        return
    safetensors.encode(arrays, metadata)  # refuses before a file is made
    files.replace(os.fsdecode(f), lambda file: safetensors.write(file, arrays, metadata))


def load(
    f: str | os.PathLike | IO[bytes],
    map_location: object = None,
    *,
    weights_only: bool = True,
    mmap: bool | None = None,
) -> Any:
    """Load what `save` has saved, the tensors of any safetensors file as a dict, or what `torch.save` has saved.

    `f` is a path or a binary file open for reading. Tensors are new, writable and require no gradient; arrays come back
    as arrays. Of PyTorch's `.pt` and `.pth` files, also those from before version 1.6, tensors and plain values are
    read, by a reader that runs no code: a name that it does not know is refused. Tensors that shared memory there share
    it here. So `weights_only` changes nothing; `map_location` may name the CPU only; `mmap` is accepted and has no
    effect.

    Raises: ValueError that names what is wrong with a file that is truncated, inconsistent or of another format, or
    what in it cannot be read; RuntimeError for another device than the CPU.

    >>> import io, spinetail as st
    >>> file = io.BytesIO()
    >>> st.save([st.arange(3), "three"], file)
    >>> _ = file.seek(0)
    >>> st.load(file)
    [tensor([0, 1, 2]), 'three']
    """
    _check_device(map_location)
    if hasattr(f, "read"):
        source = f"the file {getattr(f, 'name', type(f).__name__)!r}"
        if not (hasattr(f, "seekable") and f.seekable()):
            from io import BytesIO

            f = BytesIO(f.read())
        return _read(f, source)
    path = os.fsdecode(f)
    with open(path, "rb") as file:
        return _read(file, repr(path))


def _read(file: IO[bytes], source: str) -> Any:
    begin = file.tell()
    first = file.read(len(torchfile.LEGACY))
    file.seek(begin)
    if first[:4] == b"PK\x03\x04":
        return torchfile.read_zip(file, source)
    if first == torchfile.LEGACY:
        return torchfile.read_legacy(file, source)
    arrays, metadata = safetensors.read(file, source)
    return structure.restore(arrays, metadata, source)


def _check_device(map_location: object) -> None:
    targets = map_location.values() if isinstance(map_location, dict) else [map_location]
    for target in targets:
        if target is not None and not callable(target) and str(target).partition(":")[0] != "cpu":
            raise RuntimeError(f"[load] there is no device {str(target)!r}: tensors are loaded to 'cpu'")

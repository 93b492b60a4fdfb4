"""Replacing a file as a whole: whoever looks finds the old bytes or the new ones, never a part."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from itertools import count
from typing import IO

_number = count().__next__


def replace(path: str, write: Callable[[IO[bytes]], None]) -> None:
    """Let `write(file)` fill a new file beside `path`, make it durable, and put it in the place of `path`.

    When `write` fails or the process dies, `path` stays as it was. Leftovers of dead writers are removed by the next
    writer of the same name: a living one holds a lock on its file.
    """
    path = os.path.realpath(path)  # a symbolic link stays, what it points to is replaced
    folder, name = os.path.split(path)
    try:
        before = os.stat(path)
    except FileNotFoundError:
        before = None
    if before is not None and stat.S_ISDIR(before.st_mode):
        raise IsADirectoryError(f"[save] {path!r} is a folder")
    if before is not None and not stat.S_ISREG(before.st_mode):
        with open(path, "wb") as device:
            write(device)
        return
    _sweep(folder, name)
    temporary, file = _create(folder, name)
    try:
        with file:
            if before is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
            write(file)
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, path)
    except BaseException:
        try:
            os.unlink(temporary)
        except FileNotFoundError:
            pass
        raise
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create(folder: str, name: str) -> tuple[str, IO[bytes]]:
    import fcntl

    while True:
        temporary = os.path.join(folder, f".{name[:150]}.tmp-{os.getpid()}-{_number()}")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileExistsError:  # of another process namespace
            continue
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:  # else a sweeper came between the two calls
            return temporary, open(descriptor, "wb")
        os.close(descriptor)


def _sweep(folder: str, name: str) -> None:
    import fcntl

    prefix = f".{name[:150]}.tmp-"
    for entry in os.listdir(folder):
        if not entry.startswith(prefix):
            continue
        leftover = os.path.join(folder, entry)
        try:
            descriptor = os.open(leftover, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(leftover)
        except OSError:
            pass
        finally:
            os.close(descriptor)

"""Datasets on disk: NumPy's files, in memory or mapped, tables of text, and folders of images."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd.tape import wrap
from .dataset import Dataset, TensorDataset

Path = str | os.PathLike


class NumpyDataset(TensorDataset):
    """The arrays of a `.npz` file, or the one of a `.npy` file, in memory: sample i is the i-th entry of each.

    `keys` choose arrays of a `.npz` file and their order. `names` are the arrays' names. Files with Python objects,
    which are pickles, are refused. Raises: ValueError for those, for missing keys and for lengths that differ.

    >>> import os, tempfile, numpy as np, spinetail as st
    >>> path = os.path.join(tempfile.mkdtemp(), "data.npz")
    >>> np.savez(path, x=np.zeros((4, 2)), y=np.arange(4))
    >>> int(st.data.NumpyDataset(path, keys=("x", "y"))[3][1])
    3
    """

    def __init__(self, path: Path, keys: Sequence[str] | None = None) -> None:
        found = _load("NumpyDataset", path, None)
        if isinstance(found, np.ndarray):
            if keys is not None:
                raise ValueError(f"[NumpyDataset] {os.fspath(path)!r} holds one array: keys are for .npz files")
            self.names: tuple[str, ...] = ("array",)
            arrays = [found]
        else:
            with found:
                self.names = tuple(found.files if keys is None else keys)
                missing = [name for name in self.names if name not in found.files]
                if missing:
                    raise ValueError(f"[NumpyDataset] {os.fspath(path)!r} has {found.files}, but not {missing}")
                try:
                    arrays = [found[name] for name in self.names]
                except ValueError as error:
                    raise ValueError(f"[NumpyDataset] cannot read {os.fspath(path)!r}: {error}") from None
        super().__init__(*arrays)


class MappedDataset(TensorDataset):
    """Arrays of `.npy` files that may be larger than the memory: sample i is the i-th entry of each.

    Only what is asked for is read, and given as a copy, so samples are writable; a loader with the usual collation
    reads a whole batch at once. `open_memmap` of `numpy.lib.format` writes such files a piece at a time.
    Raises: ValueError for files with Python objects, or lengths that differ.

    >>> import os, tempfile, numpy as np, spinetail as st
    >>> path = os.path.join(tempfile.mkdtemp(), "x.npy")
    >>> np.save(path, np.arange(12.0).reshape(6, 2))
    >>> data = st.data.MappedDataset(path)
    >>> len(data), data[5][0]
    (6, array([10., 11.]))
    """

    def __init__(self, *paths: Path) -> None:
        arrays = []
        for path in paths:
            found = _load("MappedDataset", path, "r")
            if not isinstance(found, np.ndarray):
                found.close()
                raise ValueError(f"[MappedDataset] {os.fspath(path)!r} is not a .npy file: others cannot be mapped")
            arrays.append(np.asarray(found))
        super().__init__(*arrays)

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple([np.array(array[index]) for array in self.tensors])

    def __getitems__(self, indices: list[int]) -> list[tuple[Any, ...]]:
        batch = [array.take(np.asarray(indices, np.int64), 0) for array in self.tensors]
        return list(zip(*batch, strict=True))

    def take(self, indices: np.ndarray | slice) -> list[Any]:
        """The batch of the samples at `indices`: one new tensor for each file."""
        return [wrap(np.array(a[indices]) if isinstance(indices, slice) else a.take(indices, 0)) for a in self.tensors]


def _load(name: str, path: Path, mode: Any) -> Any:
    try:
        return np.load(path, mmap_mode=mode, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"[{name}] cannot read {os.fspath(path)!r}: {error}") from None


class CSVDataset(TensorDataset):
    """A table of text: each line is a sample, (features,) or, with `target`, (features, target).

    `target` is the name or the number of a column; numbers stay numbers (integers int64), and anything else becomes a
    number from 0 on, the place in the sorted `classes`. `columns` choose the features. The first line names the columns
    unless `header=False`. Features are numbers of `dtype`; an empty one is nan.
    Raises: ValueError that names the line and column of what is not a number, or is missing.

    >>> import io, spinetail as st
    >>> data = st.data.CSVDataset(io.StringIO("a,b,kind\\n1,2,cat\\n3,4,dog\\n"), target="kind")
    >>> data[1][0], int(data[1][1]), data.classes
    (array([3., 4.], dtype=float32), 1, ['cat', 'dog'])
    """

    def __init__(
        self,
        path: Any,
        target: str | int | None = None,
        columns: Sequence[str | int] | None = None,
        header: bool = True,
        delimiter: str = ",",
        dtype: Any = dtypes.float32,
    ) -> None:
        import csv

        if hasattr(path, "read"):
            rows = list(csv.reader(path, delimiter=delimiter))
        else:
            with open(path, newline="", encoding="utf-8-sig") as file:
                rows = list(csv.reader(file, delimiter=delimiter))
        first = 1 + header  # lines are numbered from 1
        lines = [number for number, row in enumerate(rows[header:], first) if row]
        table = [row for row in rows[header:] if row]
        if not table:
            raise ValueError("[CSVDataset] the table has no lines")
        width = len(rows[0]) if header else len(table[0])
        for number, row in zip(lines, table, strict=True):
            if len(row) != width:
                raise ValueError(f"[CSVDataset] line {number} has {len(row)} columns, but the first has {width}")
        self.names = [name.strip() for name in rows[0]] if header else [str(i) for i in range(width)]
        goal = None if target is None else self._column(target)
        chosen = [i for i in range(width) if i != goal] if columns is None else [self._column(c) for c in columns]
        kind = dtypes.as_dtype(dtype).numpy
        features = np.empty((len(table), len(chosen)), kind)
        for k, column in enumerate(chosen):
            features[:, k] = _numbers([row[column] for row in table], lines, self.names[column], kind)
        self.classes: list[str] | None = None
        arrays = [features]
        if goal is not None:
            arrays.append(self._target([row[goal].strip() for row in table], lines, self.names[goal]))
        super().__init__(*arrays)

    def _column(self, which: str | int) -> int:
        if isinstance(which, int) and -len(self.names) <= which < len(self.names):
            return which % len(self.names)
        if which in self.names:
            return self.names.index(str(which))
        raise ValueError(f"[CSVDataset] there is no column {which!r}; there are {', '.join(self.names)}")

    def _target(self, values: list[str], lines: list[int], name: str) -> np.ndarray:
        if "" in values:
            raise ValueError(f"[CSVDataset] the target {name!r} is missing in line {lines[values.index('')]}")
        for kind in (np.int64, np.float64):
            try:
                return np.array(values).astype(kind)
            except (ValueError, OverflowError):
                pass
        self.classes = sorted(set(values))
        places = {value: i for i, value in enumerate(self.classes)}
        return np.array([places[value] for value in values], np.int64)


def _numbers(values: list[str], lines: list[int], name: str, kind: np.dtype) -> np.ndarray:
    numbers = np.empty(len(values), np.float64)
    for i, value in enumerate(values):
        try:
            numbers[i] = float(value) if value.strip() else np.nan
        except ValueError:
            raise ValueError(f"[CSVDataset] line {lines[i]}, column {name!r}: {value!r} is not a number") from None
    if kind.kind in "iu" and not np.array_equal(numbers, np.rint(numbers)):
        raise ValueError(f"[CSVDataset] column {name!r} has numbers that are not integers, but dtype is {kind}")
    return numbers.astype(kind)


class ImageFolder(Dataset):
    """Images in folders, one for each class: sample i is (image, class).

    `root/cat/1.png` is of class "cat"; classes are numbered in alphabetical order. An image is a uint8 array
    (3, height, width), read with Pillow (`pip install spinetail[images]`), unless `loader(path)` reads it;
    `transform` and `target_transform` are applied. `samples` are the paths with their classes, `classes` the names and
    `class_to_idx` their numbers.
    Raises: FileNotFoundError without classes, or for one without images unless `allow_empty`.
    """

    EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".gif")

    def __init__(
        self,
        root: Path,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        loader: Callable[[str], Any] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        self.root = os.fspath(root)
        self.transform = transform
        self.target_transform = target_transform
        self.loader = loader or read_image
        self.classes = sorted(entry.name for entry in os.scandir(self.root) if entry.is_dir())
        if not self.classes:
            raise FileNotFoundError(f"[ImageFolder] Couldn't find any class folder in {self.root}.")
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
        self.samples: list[tuple[str, int]] = []
        for name, number in self.class_to_idx.items():
            before = len(self.samples)
            for folder, below, files in sorted(os.walk(os.path.join(self.root, name), followlinks=True)):
                below.sort()
                for file in sorted(files):
                    path = os.path.join(folder, file)
                    if is_valid_file(path) if is_valid_file else file.lower().endswith(self.EXTENSIONS):
                        self.samples.append((path, number))
            if len(self.samples) == before and not allow_empty:
                raise FileNotFoundError(f"[ImageFolder] Found no valid file for the class {name!r} in {self.root}")
        self.targets = [number for _, number in self.samples]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, target = self.samples[index]
        image = self.loader(path)
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target


def read_image(path: str) -> np.ndarray:
    """An image file as a uint8 array (3, height, width) of red, green and blue; it needs Pillow."""
    try:
        from PIL import Image
    except ImportError:
        raise ImportError("images are read with Pillow: pip install spinetail[images]") from None
    with Image.open(path) as image:
        return np.ascontiguousarray(np.asarray(image.convert("RGB")).transpose(2, 0, 1))

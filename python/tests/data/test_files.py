"""Datasets on disk: NumPy's files in memory and mapped, tables, folders of images."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import numpy as np
import pytest

import spinetail as st
from spinetail.data import CSVDataset, DataLoader, ImageFolder, MappedDataset, NumpyDataset, Subset


def test_numpy_files(tmp_path):
    x, y = np.random.default_rng(0).random((7, 3)), np.arange(7)
    np.savez(tmp_path / "a.npz", x=x, y=y)
    np.save(tmp_path / "b.npy", x)
    data = NumpyDataset(tmp_path / "a.npz")
    assert data.names == ("x", "y") and len(data) == 7 and data[2][1] == 2
    assert NumpyDataset(str(tmp_path / "a.npz"), keys=["y"])[3] == (3,)
    assert np.array_equal(NumpyDataset(tmp_path / "b.npy")[:][0], x)
    batches = list(DataLoader(data, 4))
    assert np.array_equal(np.concatenate([b[0].numpy() for b in batches]), x)


def test_refused_numpy_files(tmp_path):
    np.save(tmp_path / "o.npy", np.array([None]), allow_pickle=True)
    np.savez(tmp_path / "o.npz", o=np.array([None]), allow_pickle=True)
    np.savez(tmp_path / "a.npz", x=np.ones(2), y=np.ones(3))
    (tmp_path / "text.npy").write_bytes(b"not an array")
    whole = io.BytesIO()
    np.save(whole, np.ones(100))
    (tmp_path / "cut.npy").write_bytes(whole.getvalue()[:300])
    for kind in (NumpyDataset, MappedDataset):
        for name in ("o.npy", "text.npy", "cut.npy"):
            with pytest.raises(ValueError, match=rf"\[{kind.__name__}\] cannot read"):
                kind(tmp_path / name)
        with pytest.raises(FileNotFoundError):
            kind(tmp_path / "nothing.npy")
    for call, text in (
        (lambda: NumpyDataset(tmp_path / "o.npz"), "cannot read"),
        (lambda: NumpyDataset(tmp_path / "a.npz"), "Size mismatch"),
        (lambda: NumpyDataset(tmp_path / "a.npz", keys=["z"]), r"but not \['z'\]"),
        (lambda: MappedDataset(tmp_path / "a.npz"), "not a .npy file"),
        (lambda: MappedDataset(), "at least one"),
    ):
        with pytest.raises(ValueError, match=text):
            call()


def test_mapped_files(tmp_path):
    x, y = np.random.default_rng(0).random((11, 2, 3), dtype=np.float32), np.arange(11)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    data = MappedDataset(tmp_path / "x.npy", tmp_path / "y.npy")
    assert len(data) == 11
    sample = data[3]
    sample[0][...] = 0
    assert np.array_equal(data[3][0], x[3]), "a sample is a copy"
    for loader in (DataLoader(data, 4), DataLoader(data, 4, collate_fn=lambda b: st.data.default_collate(b))):
        batches = list(loader)
        assert np.array_equal(np.concatenate([b[0].numpy() for b in batches]), x)
        assert [i for b in batches for i in b[1].tolist()] == y.tolist()
        batches[0][0].zero_()
    assert np.array_equal(next(iter(DataLoader(Subset(data, [5, 1]), 2)))[0].numpy(), x[[5, 1]])
    st.manual_seed(0)
    shuffled = [i for b in DataLoader(data, 3, shuffle=True, num_workers=2) for i in b[1].tolist()]
    assert sorted(shuffled) == list(range(11)) != shuffled


LARGE = """
import resource, sys, numpy as np
from spinetail.data import DataLoader, MappedDataset
resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))
data = MappedDataset(sys.argv[1])
total = 0
for (batch,) in DataLoader(data, 256, sampler=range(0, len(data), len(data) // 4096)):
    total += float(batch.sum())
print(len(data), total)
"""


def test_a_file_larger_than_the_memory_allowed(tmp_path):
    """A sparse file of 16 GiB; the process may have 1 GiB of memory of its own."""
    path = tmp_path / "large.npy"
    rows = 4 << 20
    array = np.lib.format.open_memmap(path, "w+", np.float32, (rows, 1024))
    array[0, 0], array[rows // 2, 5], array[-1, -1] = 1, 2, 4
    del array
    if os.stat(path).st_blocks * 512 > 1 << 24:
        pytest.skip("the file system has no sparse files")
    run = subprocess.run([sys.executable, "-c", LARGE, str(path)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [str(rows), "3.0"]


TABLE = "a, b ,kind\n1,2,cat\n3,,dog\n\n5,6,cat\n"


def test_tables(tmp_path):
    (tmp_path / "t.csv").write_text("\ufeff" + TABLE, encoding="utf-8")
    data = CSVDataset(tmp_path / "t.csv", target="kind")
    assert data.names == ["a", "b", "kind"] and data.classes == ["cat", "dog"] and len(data) == 3
    x, y = data[:]
    assert x.dtype == np.float32 and y.tolist() == [0, 1, 0]
    np.testing.assert_array_equal(x, [[1, 2], [3, np.nan], [5, 6]])
    assert [b[1].tolist() for b in DataLoader(data, 2)] == [[0, 1], [0]]
    plain = CSVDataset(io.StringIO("1;2\n3;4.5\n"), header=False, delimiter=";", target=-1, dtype=st.float64)
    assert plain[:][0].tolist() == [[1], [3]] and plain[:][1].tolist() == [2, 4.5] and plain.classes is None
    assert CSVDataset(io.StringIO("x,y\n1,2\n"), columns=["y"], dtype=st.int64)[0][0].tolist() == [2]
    assert CSVDataset(io.StringIO("x,y\n1,2\n"), target="y")[0][1].dtype == np.int64


@pytest.mark.parametrize(
    "text, options, message",
    [
        ("a,b\n1,x\n", {}, "line 2, column 'b': 'x' is not a number"),
        ("a,b\n1,2\n\n3\n", {}, "line 4 has 1 columns, but the first has 2"),
        ("a,b\n", {}, "no lines"),
        ("", {}, "no lines"),
        ("a,b\n1,2\n", {"target": "c"}, "no column 'c'; there are a, b"),
        ("a,b\n1,2\n", {"columns": [5]}, "no column 5"),
        ("a,b\n1,2\n3,\n", {"target": "b"}, "'b' is missing in line 3"),
        ("a\n1.5\n", {"dtype": st.int64}, "not integers"),
    ],
)
def test_refused_tables(text, options, message):
    with pytest.raises(ValueError, match=message):
        CSVDataset(io.StringIO(text), **options)


def test_image_folders(tmp_path):
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)
    for name in ("dog/b.png", "cat/1.png", "cat/below/0.PNG", "cat/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("no image") if name.endswith("txt") else image.fromarray(pixels).save(path)
    image.fromarray(pixels[..., 0]).save(tmp_path / "dog" / "a.png")
    data = ImageFolder(tmp_path)
    assert data.classes == ["cat", "dog"] and data.class_to_idx == {"cat": 0, "dog": 1} and len(data) == 4
    assert data.targets == [0, 0, 1, 1] and [os.path.basename(p) for p, _ in data.samples][2:] == ["a.png", "b.png"]
    x, y = data[3]
    assert y == 1 and x.dtype == np.uint8 and np.array_equal(x, pixels.transpose(2, 0, 1))
    assert np.array_equal(data[2][0][1], pixels[..., 0]), "grey images become three channels"
    batch = next(iter(DataLoader(data, 4)))
    assert batch[0].shape == (4, 3, 5, 4) and batch[1].tolist() == data.targets
    changed = ImageFolder(tmp_path, lambda x: x / 255, lambda y: y + 10, loader=lambda p: np.ones(1))
    assert changed[0][0] == 1 / 255 and changed[0][1] == 10
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="class 'empty'"):
        ImageFolder(tmp_path)
    assert len(ImageFolder(tmp_path, allow_empty=True)) == 4
    assert len(ImageFolder(tmp_path, is_valid_file=lambda p: p.endswith("b.png"), allow_empty=True)) == 1
    with pytest.raises(FileNotFoundError, match="any class folder"):
        ImageFolder(tmp_path / "empty")


def test_without_pillow_the_error_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.png").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"pip install spinetail\[images\]"):
        ImageFolder(tmp_path)[0]

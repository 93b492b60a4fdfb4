"""save and load: round trips, other tools, refusals, hostile files, atomicity."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import stat
import subprocess
import sys
from collections import Counter, OrderedDict

import numpy as np
import pytest

import spinetail as st
from spinetail import dtypes
from spinetail.io import files, safetensors


def round_trip(value):
    file = io.BytesIO()
    st.save(value, file)
    file.seek(0)
    return st.load(file)


def same(a, b) -> bool:
    if isinstance(a, st.Tensor) or isinstance(b, st.Tensor):
        return isinstance(a, st.Tensor) and isinstance(b, st.Tensor) and same(a.detach().numpy(), b.detach().numpy())
    if isinstance(a, (np.ndarray, np.generic)):
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b or (a != a and b != b)


CHECKPOINT = {
    "model": OrderedDict([("0.weight", st.tensor([[1.5, -2.0]])), ("0.bias", st.tensor(3))]),
    "optimizer": {
        "state": {0: {"step": st.tensor(7.0), "exp_avg": st.ones(1, 2)}, 1: {}},
        "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.999), "params": [0, 1], "foreach": None}],
    },
    "epoch": 3,
    "best": float("-inf"),
    "nan": float("nan"),
    "huge": 2**70,
    "rng": {"array": np.arange(4, dtype=np.uint64), "number": np.float32(0.1)},
    "dtype": st.float64,
    "$odd": {"$tensor": "not a tensor", 2.5: True, None: [], ("a", 1): ()},
    "a.b": st.ones(1),
    "a": {"b": st.zeros(1)},
    "__metadata__": st.ones(2),
    "": {"": st.zeros(0, 3)},
    "ünïcødé \n": "snow ☃",
}


def test_nested_checkpoint():
    assert same(round_trip(CHECKPOINT), CHECKPOINT)


@pytest.mark.parametrize("name", [d.name for d in dtypes.ALL])
def test_every_dtype_and_layout(name):
    if name == "bfloat16":
        pytest.importorskip("ml_dtypes")
    dtype = getattr(st, name).numpy
    base = (np.arange(24) % 3).astype(dtype).reshape(2, 3, 4)
    swapped = base if name == "bfloat16" else base.astype(base.dtype.newbyteorder(">"))
    layouts = [base, base.T, base[:, ::-1], base[1, 2, 3], base[:0], base[:, :, ::2], swapped, np.asfortranarray(base)]
    layouts.append(np.broadcast_to(base[:1], (5, 3, 4)))
    for array in layouts:
        array = np.asarray(array)
        loaded = round_trip([st.from_numpy(array.astype(dtype)), array])
        assert loaded[0].numpy().dtype == dtype and loaded[1].dtype == dtype and loaded[1].dtype.isnative
        assert loaded[1].shape == array.shape
        np.testing.assert_array_equal(loaded[1].astype(np.float64), array.astype(np.float64))
        assert same(loaded[0].numpy(), loaded[1])
        assert loaded[1].flags.writeable and loaded[1].flags.aligned


def test_single_values_and_state_dicts():
    assert same(round_trip(st.tensor(2.5)), st.tensor(2.5))
    assert round_trip(None) is None and round_trip([1, "a"]) == [1, "a"] and round_trip({}) == {}
    assert type(round_trip(OrderedDict(a=st.ones(1)))) is OrderedDict
    assert type(round_trip({"a": st.ones(1)})) is dict
    assert round_trip({"c": Counter("aab")}) == {"c": {"a": 2, "b": 1}}
    w = st.ones(2, requires_grad=True)
    assert not round_trip({"w": w * 2})["w"].requires_grad


def test_order_of_names_is_kept():
    state = {f"p{i}": st.zeros(i % 4, dtype=[st.float32, st.int8, st.float64][i % 3]) for i in range(20)}
    assert list(round_trip(state)) == list(state)


def test_other_tools_read_it_and_the_reverse(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "a.safetensors"
    st.save({"x": st.arange(6).reshape(2, 3), "flag": st.tensor(True), "t": st.ones(3, 2, dtype=st.float16).t()}, path)
    read = numpy.load_file(path)
    assert {k: (v.dtype.name, v.shape) for k, v in read.items()} == {
        "x": ("int64", (2, 3)),
        "flag": ("bool", ()),
        "t": ("float16", (2, 3)),
    }
    st.save(CHECKPOINT, path)
    assert numpy.load_file(path)["optimizer.state.0.exp_avg"].shape == (1, 2)
    assert len(numpy.load_file(path)) == 10
    numpy.save_file({"w": np.eye(3), "n": np.array([1, 2], np.int16)}, path, metadata={"by": "someone"})
    loaded = st.load(path)
    assert type(loaded) is dict and same(loaded["w"], st.from_numpy(np.eye(3)))
    assert same(loaded["n"], st.tensor([1, 2], dtype=st.int16))


def test_bfloat16_is_stored_as_such(tmp_path):
    pytest.importorskip("ml_dtypes")
    file = io.BytesIO()
    st.save({"w": st.tensor([1.0, -2.5]).to(st.bfloat16)}, file)
    assert b'"BF16"' in file.getvalue() and file.getvalue().endswith(bytes.fromhex("803f20c0"))


def test_paths_and_files(tmp_path):
    for path in (str(tmp_path / "a"), tmp_path / "b", os.fsencode(tmp_path / "c")):
        st.save(st.ones(2), path)
        assert same(st.load(path), st.ones(2))
    with open(tmp_path / "d", "wb") as file:
        file.write(b"before")
        st.save([1], file)
    with open(tmp_path / "d", "rb") as file:
        file.seek(6)
        assert st.load(file) == [1]
    read, write = os.pipe()
    with open(write, "wb") as file:
        st.save({"x": st.ones(3)}, file)
    with open(read, "rb") as file:
        assert same(st.load(file), {"x": st.ones(3)})
    st.save([2], "/dev/null")


def test_map_location_and_weights_only():
    file = io.BytesIO()
    st.save([1], file)
    for location in (None, "cpu", st.device("cpu"), {"cuda:0": "cpu"}, lambda storage, place: storage):
        file.seek(0)
        assert st.load(file, location, weights_only=False) == [1]
    for location in ("cuda", {"cpu": "cuda:1"}):
        with pytest.raises(RuntimeError, match="no device 'cuda"):
            st.load(file, map_location=location)


class Thing:
    def state_dict(self):
        return {}


@pytest.mark.parametrize(
    "value, error, text",
    [
        (Thing(), TypeError, "a Thing.*state_dict"),
        ({"model": [Thing()]}, TypeError, "'model.0' is a Thing.*state_dict"),
        (print, TypeError, "builtin_function"),
        ({1, 2}, TypeError, "a set"),
        ({"f": 1j}, TypeError, "'f' is a complex"),
        (np.array([1j]), TypeError, "complex128"),
        (np.array([None]), TypeError, "object"),
        (np.array(["a"]), TypeError, "<U1"),
        (np.zeros(2, [("a", "f4")]), TypeError, "dtype"),
        (np.ma.masked_array([1.0]), TypeError, "MaskedArray"),
        (np.zeros(1, np.longdouble), TypeError, "float128|longdouble"),
        ({b"key": 1}, TypeError, "key"),
        ({float("nan"): 1}, TypeError, "key"),
        ({"\ud800": st.ones(1)}, ValueError, "UTF-8"),
    ],
)
def test_refused_objects(tmp_path, value, error, text):
    path = tmp_path / "a"
    st.save([1], path)
    with pytest.raises(error, match=rf"^\[save\].*{text}"):
        st.save(value, path)
    assert st.load(path) == [1] and os.listdir(tmp_path) == ["a"]


def test_cycles_and_depth():
    loop: list = []
    loop.append(loop)
    with pytest.raises(ValueError, match="contains itself"):
        st.save(loop, io.BytesIO())


def build(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


HOSTILE = {
    "empty": (b"", "ends after 0 bytes"),
    "short": (b"\x01\x02", "ends after 2 bytes"),
    "header length": (build(b"{}", length=2**63), "at most"),
    "header longer than the file": (build(b"{}", length=100), "only 2 bytes follow"),
    "not json": (build(b"{,}"), "not valid"),
    "not an object": (build(b"[]"), "brace"),
    "not utf-8": (build(b'{"\xff":1}'), "not valid"),
    "deep": (build(b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"), "deep|not valid"),
    "long number": (build(b'{"a":' + b"1" * 6000 + b"}"), "not valid"),
    "nan": (build(b'{"a":NaN}'), "NaN"),
    "duplicate": (build(b'{"a":1,"a":2}'), "'a' occurs twice"),
    "duplicate in entry": (build(b'{"a":{"dtype":"F32","dtype":"U8","shape":[],"data_offsets":[0,4]}}'), "'dtype'"),
    "metadata": (build({"__metadata__": {"a": 1}}), "metadata"),
    "entry": (build({"a": 1}), "entry of 'a'"),
    "missing": (build({"a": {"dtype": "F32", "shape": []}}), "entry of 'a'"),
    "dtype": (build({"a": entry("F8_E4M3", (4,))}, b"1234"), "F8_E4M3"),
    "dtype list": (build({"a": entry([], (4,))}, b"1234"), "dtype"),
    "float shape": (build({"a": entry(shape=(1.0,))}, b"1234"), "integer"),
    "bool shape": (build({"a": entry(shape=(True,))}, b"1234"), "shape"),
    "negative": (build({"a": entry(shape=(-1,))}, b"1234"), "non-negative"),
    "overflow": (build({"a": entry(shape=(2**62, 4, 2))}, b""), "shape"),
    "zero and overflow": (build({"a": entry(shape=(0, 2**62, 2**62), offsets=(0, 0))}), "no machine"),
    "axes": (build({"a": entry(shape=[1] * 40)}, b"1234"), "40 axes"),
    "size": (build({"a": entry(shape=(2,))}, b"1234"), "takes 8 bytes"),
    "reversed": (build({"a": entry(offsets=(4, 0))}, b"1234"), "span -4"),
    "overlap": (build({"a": entry(), "b": entry()}, b"1234"), "overlaps"),
    "hole": (build({"a": entry(), "b": entry(offsets=(8, 12))}, b"1" * 12), "hole"),
    "hole at the start": (build({"a": entry(offsets=(4, 8))}, b"1" * 8), "hole"),
    "truncated": (build({"a": entry()}, b"123"), "truncated"),
    "too long": (build({"a": entry()}, b"12345"), "more bytes"),
    "huge": (build({"a": entry(shape=(2**40,), offsets=(0, 2**42))}, b"1234"), "truncated"),
    "bool": (build({"a": entry("BOOL", (2,), (0, 2))}, b"\x00\x02"), "booleans"),
    "zip": (b"PK\x03\x04" + b"\0" * 50, "not a zip file"),
    "pickle": (b"\x80\x04K\x01.", "pickle"),
    "structure": (build({"__metadata__": {"spinetail.structure": '{"$tensor":"b"}'}}), "structure.*'b'"),
    "structure json": (build({"__metadata__": {"spinetail.structure": "{"}}), "structure"),
    "structure tag": (build({"__metadata__": {"spinetail.structure": '{"$call":"os.system"}'}}), "call"),
    "structure list": (build({"__metadata__": {"spinetail.structure": '{"$dict":[[1]]}'}}), "structure"),
    "structure key": (build({"__metadata__": {"spinetail.structure": '{"$dict":[[[],1]]}'}}), "structure"),
    "structure deep": (
        build({"__metadata__": {"spinetail.structure": "[" * 100_000 + "]" * 100_000}}),
        "deep|structure",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files(tmp_path, case):
    content, text = HOSTILE[case]
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"(?s)^\[load\].*{text}"):
        st.load(path)
    with pytest.raises(ValueError, match=r"^\[load\]"):
        st.load(io.BytesIO(content))


def test_every_truncation_is_refused():
    file = io.BytesIO()
    st.save({"a": st.ones(3), "n": 1}, file)
    content = file.getvalue()
    for length in range(len(content)):
        with pytest.raises(ValueError, match=r"^\[load\]"):
            st.load(io.BytesIO(content[:length]))


def test_flipped_bytes_never_do_worse_than_an_error():
    file = io.BytesIO()
    st.save({"a": st.ones(3), "b": [st.tensor(True), 2.5]}, file)
    content = file.getvalue()
    refused = 0
    generator = random.Random(0)
    for _ in range(1500):
        changed = bytearray(content)
        for _ in range(generator.randint(1, 3)):
            changed[generator.randrange(len(content))] = generator.randrange(256)
        try:
            st.load(io.BytesIO(bytes(changed)))
        except ValueError:
            refused += 1
    assert refused > 500


def test_header_limit_holds_for_both_sides(monkeypatch):
    monkeypatch.setattr(safetensors, "HEADER_LIMIT", 200)
    with pytest.raises(ValueError, match="at most 200"):
        st.save({f"p{i}": st.ones(1) for i in range(20)}, io.BytesIO())


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        st.load(tmp_path / "nothing")
    with pytest.raises(IsADirectoryError):
        st.save([1], tmp_path)
    with pytest.raises(FileNotFoundError):
        st.save([1], tmp_path / "no" / "a")


def test_mode_and_symbolic_link_are_kept(tmp_path):
    path, link = tmp_path / "a", tmp_path / "link"
    st.save([1], path)
    assert stat.S_IMODE(path.stat().st_mode) & 0o600 == 0o600
    path.chmod(0o640)
    link.symlink_to(path)
    st.save([2], link)
    assert link.is_symlink() and st.load(path) == [2] and stat.S_IMODE(path.stat().st_mode) == 0o640


def test_failure_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "a"
    st.save([1], path)

    def fail(file):
        file.write(b"half")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        files.replace(str(path), fail)
    assert st.load(path) == [1] and os.listdir(tmp_path) == ["a"]


def test_leftovers_of_dead_writers_are_swept_and_living_ones_kept(tmp_path):
    import fcntl

    (tmp_path / ".a.tmp-1-0").write_bytes(b"dead")
    with open(tmp_path / ".a.tmp-2-0", "wb") as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        st.save([1], tmp_path / "a")
        assert sorted(os.listdir(tmp_path)) == [".a.tmp-2-0", "a"]


KILLED = """
import os, random, signal, sys, time
import numpy as np, spinetail as st
folder, path = sys.argv[1], os.path.join(sys.argv[1], "a")
big = np.zeros(1 << 17, np.float32)
st.save({"i": 0, "x": st.from_numpy(big)}, path)
generator, seen, amid = random.Random(1), set(), 0
for kill in range(200):
    writer = os.fork()
    if writer == 0:
        i = st.load(path)["i"]
        while True:
            i += 1
            big[:] = i
            st.save({"i": i, "x": st.from_numpy(big)}, path)
    time.sleep(generator.uniform(0.002, 0.016))
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    amid += any(name.startswith(".a.tmp-") for name in os.listdir(folder))
    loaded = st.load(path)
    assert (loaded["x"].numpy() == loaded["i"]).all(), (kill, loaded["i"])
    seen.add(loaded["i"])
st.save([1], path)
print(len(seen), amid, os.listdir(folder))
"""


def test_a_writer_killed_200_times_leaves_a_whole_file_each_time(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, check=False, timeout=120
    )
    assert run.returncode == 0, run.stderr
    seen, amid, names = run.stdout.split(" ", 2)
    assert names.strip() == "['a']"
    assert int(seen) > 5 and int(amid) > 20, (
        "the writers should have come far, and been killed in the middle of writing"
    )


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("value", [None, [], {"a": 1}, "x" * 300, list(range(100))])
def test_pickles_are_named(protocol, value):
    with pytest.raises(ValueError, match="pickle"):
        st.load(io.BytesIO(pickle.dumps(value, protocol)))

"""PyTorch's files: golden ones made by torch.save, and hostile ones, which are refused and run nothing."""

from __future__ import annotations

import io
import os
import pickle
import random
import zipfile
from collections import Counter, OrderedDict

import numpy as np
import pytest

import spinetail as st
from spinetail.io import pickles, torchfile

GOLDEN = os.path.join(os.path.dirname(__file__), os.pardir, "golden")


def golden(name: str) -> bytes:
    with open(os.path.join(GOLDEN, f"torch_{name}.pt"), "rb") as file:
        return file.read()


@pytest.fixture(params=["zip", "legacy"])
def loaded(request):
    pytest.importorskip("ml_dtypes")
    return st.load(os.path.join(GOLDEN, f"torch_{request.param}.pt"))


def test_dtypes_and_layouts(loaded):
    for name, tensor in loaded["dtypes"].items():
        expected = np.array([0, 1, 1 if name == "bool" else 2] * 2)
        assert tensor.dtype == getattr(st, name) and tensor.to(st.float32).tolist() == expected.tolist()
    base = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
    expected = [base, base.swapaxes(1, 2), base[1, ::2, 1:], base[:0], base[0, 0, 0], np.ones((2, 3)), base.ravel()]
    for tensor, array in zip(loaded["layouts"], expected, strict=True):
        assert tensor.shape == array.shape and np.array_equal(tensor.numpy(), array) and not tensor.requires_grad
    assert loaded["layouts"][1].stride() == (12, 1, 4) and loaded["layouts"][5].stride() == (0, 0)
    assert loaded["parameter"].tolist() == [1.5, -2.0] and type(loaded["parameter"]) is st.Tensor


def test_shared_storages_share_memory_and_are_writable(loaded):
    whole, turned, flat = (loaded["layouts"][i] for i in (0, 1, 6))
    whole[0, 1, 2] = 99
    assert turned[0, 2, 1] == 99 and flat[6] == 99
    assert not np.shares_memory(whole.numpy(), loaded["parameter"].numpy())


def test_values(loaded):
    values = loaded["values"]
    assert values[:10] == (1, -2, 2**40, 2.5, "text", "ünïcødé", None, True, False, b"bytes")
    assert type(values[10]) is st.Size and values[10] == (2, 3) and values[11] is st.float16
    more = loaded["more"]
    assert more["set"] == {1, 2} and more["counter"] == Counter("aab") and type(more["counter"]) is Counter
    assert list(more[3]) == ["b", "a"] and type(more[3]) is OrderedDict and more[(1, "k")] == ()
    assert loaded["device"] == st.device("cpu") and type(loaded["model"]) is OrderedDict


def test_a_model_and_its_optimizer_go_on(loaded):
    model = st.nn.Sequential(st.nn.Linear(3, 2), st.nn.BatchNorm1d(2))
    model.load_state_dict(loaded["model"])
    optimizer = st.optim.Adam(model.parameters())
    optimizer.load_state_dict(loaded["optimizer"])
    assert optimizer.param_groups[0]["lr"] == 0.01
    x = st.arange(12.0).reshape(4, 3)
    np.testing.assert_allclose(model.eval()(x).detach().numpy(), loaded["output"].numpy(), rtol=1e-5)
    model(x).sum().backward()
    optimizer.step()


def test_protocol_4_and_storages_of_bytes():
    tensor = st.load(io.BytesIO(golden("untyped")))["u"]
    assert tensor.dtype == st.uint16 and tensor.tolist() == [0, 1, 2]


def test_both_formats_hold_the_same():
    pytest.importorskip("ml_dtypes")
    new, old = (st.load(io.BytesIO(golden(name))) for name in ("zip", "legacy"))
    for key, tensor in new["model"].items():
        assert tensor.tolist() == old["model"][key].tolist()


class Call:
    """Pickled, it makes the reader call a function."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def archive(content: bytes, storages=(), compression=zipfile.ZIP_STORED, **records) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as out:
        out.writestr("a/data.pkl", content)
        for key, data in enumerate(storages):
            out.writestr(f"a/data/{key}", data)
        for name, data in records.items():
            out.writestr(f"a/{name}", data)
    return file.getvalue()


def u(text: str) -> bytes:
    return b"X" + len(text.encode()).to_bytes(4, "little") + text.encode()


def number(n: int) -> bytes:
    size = max((n.bit_length() + 8) // 8, 1)
    return b"\x8a" + bytes([size]) + n.to_bytes(size, "little", signed=True)


def ints(*values) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(kind="FloatStorage", key="0", numel=4) -> bytes:
    return b"(" + u("storage") + f"ctorch\n{kind}\n".encode() + u(key) + u("cpu") + number(numel) + b"tQ"


def tensor(offset=0, size=(4,), stride=(1,), name="_rebuild_tensor_v2", tail=b"", **options) -> bytes:
    return (
        f"ctorch._utils\n{name}\n(".encode() + storage(**options) + number(offset) + ints(*size) + ints(*stride)
        + b"\x89N" + tail + b"tR"
    )  # fmt: skip


def p(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


FLOATS = np.arange(4, dtype=np.float32).tobytes()
REFUSED = {
    "os.system": (pickle.dumps(Call(os.system, "touch HACKED"), 2), r"posix\.system"),
    "os.system, protocol 4": (pickle.dumps(Call(os.system, "touch HACKED"), 4), r"posix\.system"),
    "os.system, protocol 0": (pickle.dumps(Call(os.system, "touch HACKED"), 0), r"posix\.system|opcode"),
    "eval": (pickle.dumps(Call(eval, "1/0"), 2), r"__builtin__\.eval"),
    "a class": (p(b"c__main__\nNet\n)R"), r"'__main__\.Net'.*state_dict"),
    "a dotted name": (p(b"ctorch._utils\nos.system\n)R"), "os.system"),
    "a name of numbers": (b"\x80\x04K\x01K\x02\x93.", "not a string"),
    "a name of nested tuples": (p(b")" + b"q\x00h\x00\x86" * 200 + u("x") + b"\x93"), "not a string"),
    "getattr": (p(b"cbuiltins\ngetattr\n)R"), "getattr"),
    "numpy's scalar": (pickle.dumps(np.float64(1), 2), r"numpy.*scalar"),
    "call of a value": (p(b"K\x01)R"), "not a known function"),
    "arguments that are no tuple": (p(b"ctorch\nSize\nK\x01R"), "not a known function"),
    "wrong arguments": (p(b"ctorch\nSize\nK\x01K\x02\x86R"), "cannot take"),
    "set of tensors": (p(b"cbuiltins\nset\n((]ttR"), "entry of a set is a list"),
    "key that takes for ever to hash": (p(b"})" + b"q\x00h\x00\x86" * 90 + b"Ns"), "a tuple"),
    "attributes": (p(b"ctorch\nSize\n}b"), "container"),
    "truncated": (b"\x80\x02]", "truncated"),
    "no value": (p(b""), "not there"),
    "two values": (p(b"NN"), "more or less"),
    "a function": (p(b"ctorch\nSize\n"), "more or less"),
    "a mark": (p(b"("), "not there"),
    "no mark": (p(b"Nt"), "mark"),
    "no note": (p(b"h\x05"), "note 5"),
    "append to a number": (p(b"K\x01Na"), "container"),
    "odd items": (p(b"}(Nu"), "without a value"),
    "long text": (p(b"X\xff\xff\xff\xff"), "truncated"),
    "longer text": (b"\x80\x04\x8d" + b"\xff" * 8 + b".", "truncated"),
    "long frame": (b"\x80\x04\x95" + b"\xff" * 8 + b"N.", "truncated"),
    "bytearray of any length": (b"\x80\x05\x96" + b"\xff" * 8 + b".", "opcode"),
    "instance": (p(b"(ios\nsystem\n"), "opcode"),
    "extension": (p(b"\x82\x01"), "opcode"),
    "long number": (p(b"\x8b\xff\xff\xff\x7f"), "opcode"),
    "protocol": (b"\x80\x09N.", "protocol"),
    "not utf-8": (p(b"X\x01\0\0\0\xff"), "utf-8|decode"),
    "encoding": (p(b"c_codecs\nencode\n" + u("a") + u("rot13") + b"\x86R"), "rot13"),
    "counter": (p(b"ccollections\nCounter\n(]tR"), "Counter"),
    "bare storage": (p(storage()), "without a tensor"),
    "odd reference": (p(b"K\x01Q"), "way that is not known"),
    "reference to itself": (p(b"]q\x00h\x00aQ"), "way that is not known"),
    "view of a storage": (p(storage()[:-2] + b"K\x01tQ"), "way that is not known"),
    "missing storage": (p(tensor(key="7")), "'7'.*missing"),
    "storage outside": (p(tensor(key="../data.pkl")), "missing"),
    "storage of another size": (p(tensor(numel=5)), "has 16 bytes"),
    "huge storage": (p(tensor(numel=2**60)), "has 16 bytes"),
    "too long": (p(tensor(size=(5,))), "larger than its storage"),
    "too far": (p(tensor(offset=1)), "larger than its storage"),
    "too wide": (p(tensor(size=(2,), stride=(4,))), "larger than its storage"),
    "negative stride": (p(tensor(offset=3, stride=(-1,))), "integers that can be"),
    "negative offset": (p(tensor(offset=-1)), "integers that can be"),
    "two strides": (p(tensor(stride=(1, 1))), "integers that can be"),
    "overflow": (p(tensor(size=(2**61, 2**61), stride=(0, 0))), "larger than its storage"),
    "many axes": (p(tensor(size=[1] * 40, stride=[1] * 40)), "integers that can be"),
    "conjugate": (p(tensor(tail=b"}" + u("conj") + b"\x88s")), "conjugate"),
    "complex": (p(tensor(kind="ComplexFloatStorage", numel=2)), r"torch\.ComplexFloatStorage"),
    "quantised": (p(tensor(kind="QInt8Storage")), r"torch\.QInt8Storage"),
    "sparse": (p(b"ctorch._utils\n_rebuild_sparse_tensor\n)R"), "_rebuild_sparse_tensor"),
    "float8": (p(b"ctorch\nfloat8_e4m3fn\n"), "float8_e4m3fn"),
    "dtype of bytes": (p(tensor(name="_rebuild_tensor_v3", kind="UntypedStorage", numel=16, tail=b"K\x01")), "dtype"),
    "booleans": (p(tensor(kind="BoolStorage", numel=16, size=(16,))), "booleans"),
    "a tensor made by another": (p(b"ctorch._tensor\n_rebuild_from_type_v2\n(ctorch\nSize\nN)}tR"), "not known"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_and_nothing_run(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, text = REFUSED[case]
    with pytest.raises(ValueError, match=rf"(?s)^\[load\] cannot read.*{text}"):
        st.load(io.BytesIO(archive(content, [FLOATS])))
    assert os.listdir(tmp_path) == []


def test_what_the_builders_above_make_is_read_where_it_is_right():
    found = st.load(io.BytesIO(archive(p(tensor(offset=1, size=(3,))), [FLOATS])))
    assert found.tolist() == [1, 2, 3]
    assert st.load(io.BytesIO(archive(p(tensor(size=(3, 0), stride=(2**61, 2**61))), [FLOATS]))).shape == (3, 0)
    assert st.load(io.BytesIO(archive(p(b"N")))) is None


def test_refused_archives():
    def refused(content, text):
        with pytest.raises(ValueError, match=rf"(?s)^\[load\] cannot read.*{text}"):
            st.load(io.BytesIO(content))

    refused(archive(p(b"N"), compression=zipfile.ZIP_DEFLATED, **{"data/0": b"\0" * 1000}), "compressed")
    refused(archive(p(b"N"), byteorder=b"big"), "byte order")
    refused(archive(p(b"N"), **{"constants.pkl": p(b"N")}), "TorchScript")
    file = io.BytesIO()
    np.savez(file, a=np.ones(2))
    refused(file.getvalue(), r"numpy\.load")
    whole = archive(p(tensor()), [FLOATS])
    damaged = bytearray(whole)
    damaged[whole.index(FLOATS) + 5] ^= 1
    refused(bytes(damaged), "CRC")
    for length in range(len(whole)):
        with pytest.raises(ValueError, match=r"^\[load\]"):
            st.load(io.BytesIO(whole[:length]))


def test_refused_legacy_files():
    whole = golden("legacy")
    for length in [*range(0, len(whole), 7), len(whole) - 1]:
        with pytest.raises(ValueError, match=r"^\[load\]"):
            st.load(io.BytesIO(whole[:length]))
    with pytest.raises(ValueError, match="more behind"):
        st.load(io.BytesIO(whole + b"\0"))
    for old, new, text in ((b"\x88", b"\x89", "byte order"), (b"M\xe9\x03", b"M\xe8\x03", "version")):
        with pytest.raises(ValueError, match=text):
            st.load(io.BytesIO(whole.replace(old, new, 1)))


@pytest.mark.parametrize("name", ["zip", "legacy"])
def test_flipped_bytes_never_do_worse_than_an_error(name):
    content, refused, generator = golden(name), 0, random.Random(0)
    if name == "zip":  # the pickle by itself, past the archive's checksums
        with zipfile.ZipFile(io.BytesIO(content)) as source:
            content = source.read("torch_zip/data.pkl")
    for _ in range(1500):
        changed = bytearray(content)
        for _ in range(generator.randint(1, 3)):
            changed[generator.randrange(len(content))] = generator.randrange(256)
        try:
            if name == "zip":
                pickles.Machine(
                    bytes(changed),
                    0,
                    torchfile.KNOWN,
                    lambda what: torchfile.Storage(st.float32, np.zeros(400, np.uint8)),
                ).run()
            else:
                st.load(io.BytesIO(bytes(changed)))
        except ValueError:
            refused += 1
    assert refused > 500

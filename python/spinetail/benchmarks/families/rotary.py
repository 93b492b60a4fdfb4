"""Rotary position embedding of queries or keys: both conventions, whole sequences, one token, training."""

from __future__ import annotations

import numpy as np

from .. import errors
from ..case import Case, Family

BASE = 10000.0


def angles(x, offset: int) -> np.ndarray:
    """(length, width / 2), float64."""
    length, width = x.shape[-2:]
    return np.outer(np.arange(offset, offset + length), BASE ** (-np.arange(0, width, 2) / width))


def program(st, x, offset, interleaved, train):
    x = st.from_numpy(x)
    rotary = st.nn.RotaryEmbedding(x.shape[-1], BASE, interleaved)
    return trained(st, x, lambda: rotary(x, offset=offset)) if train else forward(st, lambda: rotary(x, offset=offset))


def torch_program(torch, x, offset, interleaved, train):
    """As transformers writes it for Llama, and as Llama's own code does with complex numbers; tables made before."""
    turn = angles(x, offset)
    x = torch.from_numpy(x)
    if interleaved:
        table = torch.polar(torch.ones(turn.shape), torch.from_numpy(turn.astype(np.float32)))

        def run():
            pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2))
            return torch.view_as_real(pairs * table).flatten(-2)
    else:
        both = np.concatenate([turn, turn], -1)
        cosine, sine = (torch.from_numpy(f(both).astype(np.float32)) for f in (np.cos, np.sin))
        half = x.shape[-1] // 2

        def run():
            return x * cosine + torch.cat((-x[..., half:], x[..., :half]), -1) * sine

    return trained(torch, x, run) if train else forward(torch, run)


def forward(torch, run):
    run.context = torch.inference_mode
    return run


def trained(torch, x, run):
    x.requires_grad_()
    doutput = torch.ones(*x.shape)

    def both():
        x.grad = None
        output = run()
        output.backward(doutput)
        return output

    return both


def jax_program(jax, x, offset, interleaved, train):
    turn = angles(x, offset)
    cosine, sine = (jax.numpy.asarray(f(turn).astype(np.float32)) for f in (np.cos, np.sin))
    half = x.shape[-1] // 2
    x = jax.numpy.asarray(x)

    @jax.jit
    def call(x):
        a, b = (x[..., ::2], x[..., 1::2]) if interleaved else (x[..., :half], x[..., half:])
        pair = a * cosine - b * sine, b * cosine + a * sine
        if interleaved:
            return jax.numpy.stack(pair, -1).reshape(x.shape)
        return jax.numpy.concatenate(pair, -1)

    return lambda: call(x).block_until_ready()


def mlx_program(mx, x, offset, interleaved, train):
    x = mx.array(x)

    def run():
        output = mx.fast.rope(x, x.shape[-1], traditional=interleaved, base=BASE, scale=1.0, offset=offset)
        mx.eval(output)
        return output

    return run


def error(output, x, offset, interleaved, train) -> float:
    """Of the first head."""
    turn = np.exp(1j * angles(x, offset))
    head, half = x[0, 0].astype(np.float64), x.shape[-1] // 2
    pairs = (head[:, ::2] + 1j * head[:, 1::2]) if interleaved else (head[:, :half] + 1j * head[:, half:])
    turned = pairs * turn
    parts = [turned.real, turned.imag]
    return errors.relative(
        output[0, 0], np.stack(parts, -1).reshape(head.shape) if interleaved else np.concatenate(parts, -1)
    )


def case(name, shape, offset=0, interleaved=False, train=False, quick=False) -> Case:
    def inputs() -> tuple:
        return np.random.default_rng(0).standard_normal(shape, dtype=np.float32), offset, interleaved, train

    programs = {"spinetail": program, "torch": torch_program}
    if not train:
        programs |= {"jax": jax_program, "mlx": mlx_program}
    moved = 8.0 * np.prod(shape) * (2 if train else 1)
    return Case(name, inputs, programs, error, bytes=moved, group="rotary", quick=quick)


FAMILY = Family(
    "Rotary embedding",
    [
        case("Llama 1×32×512×128", (1, 32, 512, 128), quick=True),
        case("Llama 1×32×512×128 train", (1, 32, 512, 128), train=True),
        case("8×8×256×64", (8, 8, 256, 64)),
        case("8×8×256×64 interleaved", (8, 8, 256, 64), interleaved=True),
        case("8×8×256×64 interleaved train", (8, 8, 256, 64), interleaved=True, train=True),
        case("one token of 32 heads of 128", (1, 32, 1, 128), offset=2047, quick=True),
    ],
    error="of the first head's output, relative to its largest",
    bound=2e-7,
)

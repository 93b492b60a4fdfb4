"""Scaled dot-product attention: encoders, causal decoders, grouped heads, one token, training."""

from __future__ import annotations

import numpy as np

from .. import errors
from ..case import Case, Family


def program(torch, q, k, v, causal, train):
    q, k, v = tensors = [torch.from_numpy(x) for x in (q, k, v)]
    function = torch.nn.functional.scaled_dot_product_attention
    options = {"is_causal": causal, "enable_gqa": q.shape[1] != k.shape[1]}
    if not train:

        def run():
            return function(q, k, v, **options)

        run.context = torch.inference_mode
        return run
    for x in tensors:
        x.requires_grad_()
    doutput = torch.ones(*q.shape)

    def run_both():
        q.grad = k.grad = v.grad = None
        output = function(q, k, v, **options)
        output.backward(doutput)
        return output

    return run_both


def jax_program(jax, q, k, v, causal, train):
    """JAX has the heads behind the positions."""
    inputs = [jax.numpy.asarray(np.ascontiguousarray(x.swapaxes(1, 2))) for x in (q, k, v)]
    call = jax.jit(lambda q, k, v: jax.nn.dot_product_attention(q, k, v, is_causal=causal).swapaxes(1, 2))
    return lambda: call(*inputs).block_until_ready()


def mlx_program(mx, q, k, v, causal, train):
    q, k, v = (mx.array(x) for x in (q, k, v))
    scale, mask = q.shape[-1] ** -0.5, "causal" if causal else None

    def run():
        output = mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask=mask)
        mx.eval(output)
        return output

    return run


def error(output, q, k, v, causal, train) -> float:
    """Of the first head."""
    q, k, v = (x[0, 0].astype(np.float64) for x in (q, k, v))
    scores = q @ k.T / q.shape[-1] ** 0.5
    if causal:
        scores = np.where(np.tril(np.ones(scores.shape, bool)), scores, -np.inf)
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return errors.relative(output[0, 0], powers @ v / powers.sum(-1, keepdims=True))


def case(name, batch, heads, key_heads, queries, keys, width, causal=False, train=False, quick=False) -> Case:
    def inputs() -> tuple:
        rng = np.random.default_rng(0)
        sizes = ((heads, queries), (key_heads, keys), (key_heads, keys))
        arrays = [rng.standard_normal((batch, *size, width), dtype=np.float32) for size in sizes]
        return (*arrays, causal, train)

    programs = {"spinetail": program, "torch": program}
    if not train:
        programs |= {"jax": jax_program, "mlx": mlx_program}
    pairs = sum(min(keys, i + 1) for i in range(queries)) if causal else queries * keys
    flops = 4.0 * batch * heads * width * pairs * (3.5 if train else 1)  # backward as 2.5 forwards
    moved = 4.0 * batch * width * 2 * (heads * queries + key_heads * keys)
    return Case(name, inputs, programs, error, flops=flops, bytes=moved, group="attention", quick=quick)


FAMILY = Family(
    "Attention",
    [
        case("BERT 1×12×512×64", 1, 12, 12, 512, 512, 64, quick=True),
        case("GPT-2 1×12×1024×64 causal", 1, 12, 12, 1024, 1024, 64, causal=True),
        case("Llama 1×32×512×128 causal, 8 key heads", 1, 32, 8, 512, 512, 128, causal=True),
        case("4×12×512×64 causal train", 4, 12, 12, 512, 512, 64, causal=True, train=True),
        case("64×4×16×16", 64, 4, 4, 16, 16, 16, quick=True),
        case("64×4×16×16 train", 64, 4, 4, 16, 16, 16, train=True),
        case("cross 2×8×1024×77×80", 2, 8, 8, 1024, 77, 80),
        case("one token of 2048, 32 heads of 128", 1, 32, 32, 1, 2048, 128),
        case("one token of 4096, 32 heads, 8 key heads", 1, 32, 8, 1, 4096, 128),
    ],
    error="of the first head's output, relative to its largest",
    bound=2e-6,
    note="Causal work is counted on the triangle, the backward pass as 2.5 forwards.",
)

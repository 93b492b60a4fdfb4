"""Scaled dot-product attention: encoders, causal decoders, grouped heads, one token, training."""

from __future__ import annotations

import numpy as np

from .. import errors, programs
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


def onnx_program(runtime, q, k, v, causal, train):
    return programs.onnx_program("Attention", opset=23, is_causal=int(causal))(runtime, q, k, v)


def case(name, batch, heads, key_heads, queries, keys, width, causal=False, train=False, quick=False) -> Case:
    def inputs() -> tuple:
        rng = np.random.default_rng(0)
        sizes = ((heads, queries), (key_heads, keys), (key_heads, keys))
        arrays = [rng.standard_normal((batch, *size, width), dtype=np.float32) for size in sizes]
        return (*arrays, causal, train)

    calls = {"spinetail": program, "torch": program}
    if not train:
        calls |= {"jax": jax_program, "mlx": mlx_program, "onnxruntime": onnx_program}
    pairs = sum(min(keys, i + 1) for i in range(queries)) if causal else queries * keys
    flops = 4.0 * batch * heads * width * pairs * (3.5 if train else 1)  # backward as 2.5 forwards
    moved = 4.0 * batch * width * 2 * (heads * queries + key_heads * keys)
    kind = "train" if train else "causal" if causal else "decode" if queries == 1 else "forward"
    return Case(name, inputs, calls, error, flops=flops, bytes=moved, group=f"attention {kind}", quick=quick)


LENGTHS = (128, 512, 1024, 2048, 4096)

FAMILY = Family(
    "Attention",
    [
        case("BERT 1×12×512×64", 1, 12, 12, 512, 512, 64, quick=True),
        case("BERT 8×12×128×64", 8, 12, 12, 128, 128, 64),
        case("ViT 8×12×197×64", 8, 12, 12, 197, 197, 64),
        case("64×4×16×16", 64, 4, 4, 16, 16, 16, quick=True),
        case("Stable Diffusion 2×8×4096×40, 77 keys", 2, 8, 8, 4096, 77, 40),
        case("Stable Diffusion 2×8×1024×80, 77 keys", 2, 8, 8, 1024, 77, 80),
        case("Stable Diffusion 1×8×4096×40", 1, 8, 8, 4096, 4096, 40),
        *(case(f"GPT-2 1×12×{n}×64 causal", 1, 12, 12, n, n, 64, True, quick=n == 512) for n in LENGTHS),
        *(case(f"Llama 1×16×{n}×128 causal, 4 key heads", 1, 16, 4, n, n, 128, True) for n in LENGTHS),
        case("64×4×16×16 causal train", 64, 4, 4, 16, 16, 16, True, train=True),
        case("4×12×512×64 causal train", 4, 12, 12, 512, 512, 64, True, train=True),
        *(case(f"GPT-2 1×12×{n}×64 causal train", 1, 12, 12, n, n, 64, True, train=True) for n in LENGTHS[:4]),
        case("Llama 1×16×1024×128 causal train, 4 key heads", 1, 16, 4, 1024, 1024, 128, True, train=True),
        *(case(f"one token of {n}, 32 heads of 128", 1, 32, 32, 1, n, 128, quick=n == 512) for n in (512, 2048, 8192)),
        case("one token of 4096, 32 heads, 8 key heads", 1, 32, 8, 1, 4096, 128),
    ],
    error="of the first head's output, relative to its largest",
    bound=2e-6,
    note="Causal work is counted on the triangle, the backward pass as 2.5 forwards.",
)

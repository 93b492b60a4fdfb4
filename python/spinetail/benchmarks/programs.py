"""Programs that most families need: a function of tensors as each library calls it, forward or with its gradients."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from .case import Program

Function = Callable[..., Any]


def tensors(torch: Any, arrays: tuple) -> list[Any]:
    """Arrays as PyTorch's (or our) tensors; what is no array as it is."""
    return [torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in arrays]


def forward(function: Function) -> Program:
    """function(torch, *tensors) without gradients, for PyTorch and for us."""

    def program(torch: Any, *arrays: Any) -> Callable[[], Any]:
        inputs = tensors(torch, arrays)

        def run() -> Any:
            return function(torch, *inputs)

        run.context = torch.inference_mode
        return run

    return program


def gradients(function: Function, wanted: int = 1) -> Program:
    """function(torch, *tensors) and the gradients of its first `wanted` tensors; the last array is the output's own.

    The function gets all but the last. It gives the first gradient.
    """

    def program(torch: Any, *arrays: Any) -> Callable[[], Any]:
        *inputs, doutput = tensors(torch, arrays)
        leaves = [x.requires_grad_() for x in inputs[:wanted]]

        def run() -> Any:
            for leaf in leaves:
                leaf.grad = None
            function(torch, *inputs).backward(doutput)
            return leaves[0].grad

        return run

    return program


def channels_last(program: Program) -> Program:
    """The same with images whose channels lie next to each other, as PyTorch likes them best for some work."""

    def made(torch: Any, *arrays: Any) -> Callable[[], Any]:
        # A NumPy view with the strides of channels-last memory keeps them as a tensor.
        return program(torch, *(turned(a) if getattr(a, "ndim", 0) == 4 else a for a in arrays))

    return made


def turned(images: np.ndarray) -> np.ndarray:
    """The same images with channels-last strides."""
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def numpy_program(function: Function) -> Program:
    """function(*arrays)."""

    def program(_: Any, *arrays: Any) -> Callable[[], Any]:
        return lambda: function(*arrays)

    return program


def jax_program(function: Function) -> Program:
    """function(jax, *arrays), compiled once."""
    made: list[Any] = []

    def program(jax: Any, *arrays: Any) -> Callable[[], Any]:
        if not made:
            made.append(jax.jit(lambda *inputs: function(jax, *inputs)))
        inputs, compiled = [jax.numpy.asarray(a) for a in arrays], made[0]
        return lambda: jax.block_until_ready(compiled(*inputs))

    return program


def jax_gradient(function: Function, wanted: int = 1) -> Program:
    """The gradients of function(jax, x, …) by its first `wanted` arrays; the last one is the output's own. Compiled.

    The output is computed too, as by the others: a compiler that may leave it out does half of a training step.
    """

    def call(jax: Any, *arrays: Any) -> Any:
        *inputs, doutput = arrays
        y, pull = jax.vjp(lambda *leaves: function(jax, *leaves, *inputs[wanted:]), *inputs[:wanted])
        return *pull(doutput), y

    made = jax_program(call)

    def program(jax: Any, *arrays: Any) -> Callable[[], Any]:
        run = made(jax, *arrays)
        return lambda: run()[0]

    return program


def mlx_program(function: Function) -> Program:
    """function(mlx.core, *arrays) on the CPU."""

    def program(mx: Any, *arrays: Any) -> Callable[[], Any]:
        inputs = [mx.array(a) if isinstance(a, np.ndarray) else a for a in arrays]

        def run() -> Any:
            output = function(mx, *inputs)
            mx.eval(output)
            return output

        return run

    return program


def onnx_program(
    operator: str, result: type | None = None, opset: int = 21, constants: int = 0, **attributes: Any
) -> Program:
    """One ONNX operator; `result` is its output's dtype if that is not the first input's.

    Inputs of one shape share a session, since each has threads of its own. The last `constants` arrays are part of the
    model, so that the runtime may prepare them, as it does with weights.
    """
    sessions: dict[Any, Any] = {}

    def program(runtime: Any, *arrays: Any) -> Callable[[], Any]:
        key = tuple((a.shape, a.dtype.str) for a in arrays)
        if key not in sessions:
            sessions.clear()
            sessions[key] = _session(runtime, operator, arrays, result, opset, constants, attributes)
        session, feeds = sessions[key], {f"x{i}": a for i, a in enumerate(arrays[: len(arrays) - constants])}
        return lambda: session.run(None, feeds)[0]

    return program


def _session(
    runtime: Any, operator: str, arrays: tuple, result: type | None, opset: int, constants: int, attributes: dict
) -> Any:
    from onnx import helper, numpy_helper

    names = [f"x{i}" for i in range(len(arrays))]
    types = [helper.np_dtype_to_tensor_dtype(a.dtype) for a in arrays]
    result_type = helper.np_dtype_to_tensor_dtype(np.dtype(result)) if result else types[0]
    inputs = [helper.make_tensor_value_info(n, t, a.shape) for n, t, a in zip(names, types, arrays, strict=True)]
    fed = len(arrays) - constants
    graph = helper.make_graph(
        [helper.make_node(operator, names, ["y"], **attributes)],
        "one",
        inputs[:fed],
        [helper.make_tensor_value_info("y", result_type, None)],
        [numpy_helper.from_array(a, n) for n, a in zip(names[fed:], arrays[fed:], strict=True)],
    )
    return session(runtime, graph, opset)


def session(runtime: Any, graph: Any, opset: int = 21) -> Any:
    """onnxruntime's session for a graph, with the worker's number of threads."""
    from onnx import helper

    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
    options.inter_op_num_threads = 1
    return runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

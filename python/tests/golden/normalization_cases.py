"""The golden cases of normalization: for the maker (PyTorch) and the test (spinetail)."""

import numpy as np

# name: (function, input shape, options, parameters in order: "weight", "bias", "running_mean", "running_var")
CASES = {
    "layer": ("layer_norm", (4, 5, 7), {"normalized_shape": (7,)}, ("weight", "bias")),
    "layer_two_axes": ("layer_norm", (3, 5, 7), {"normalized_shape": (5, 7), "eps": 0.1}, ("weight", "bias")),
    "layer_plain": ("layer_norm", (6, 33), {"normalized_shape": (33,)}, ()),
    "layer_weight": ("layer_norm", (6, 33), {"normalized_shape": (33,)}, ("weight",)),
    "rms": ("rms_norm", (4, 5, 17), {"normalized_shape": (17,)}, ("weight",)),
    "rms_plain": ("rms_norm", (4, 19), {"normalized_shape": (19,), "eps": 0.01}, ()),
    "batch": ("batch_norm", (5, 3, 4, 3), {"training": True}, ("running_mean", "running_var", "weight", "bias")),
    "batch_1d": ("batch_norm", (9, 21), {"training": True, "momentum": 0.3}, ("running_mean", "running_var", "bias")),
    "batch_plain": ("batch_norm", (4, 2, 5), {"training": True, "eps": 0.1}, (None, None)),
    "batch_eval": ("batch_norm", (5, 3, 2, 2, 2), {}, ("running_mean", "running_var", "weight", "bias")),
    "batch_eval_1d": ("batch_norm", (7, 19), {}, ("running_mean", "running_var", "weight")),
    "group": ("group_norm", (3, 6, 5), {"num_groups": 2}, ("weight", "bias")),
    "group_1": ("group_norm", (3, 4, 3, 3), {"num_groups": 1}, ()),
    "group_flat": ("group_norm", (4, 12), {"num_groups": 3, "eps": 0.1}, ("weight", "bias")),
    "instance": ("instance_norm", (3, 4, 9), {"momentum": 0.4}, ("running_mean", "running_var", "weight", "bias")),
    "instance_eval": ("instance_norm", (3, 4, 9), {"use_input_stats": False}, ("running_mean", "running_var")),
}


def arrays(case: str) -> tuple[np.ndarray, dict[str, np.ndarray | None], np.ndarray]:
    """The input, the parameters by name and the gradient of the output, in float64."""
    _, shape, options, parameters = CASES[case]
    rng = np.random.default_rng(len(case) * 1000 + sum(shape))
    size = options.get("normalized_shape", (shape[1],) if len(shape) > 1 else ())
    values = {}
    for i, parameter in enumerate(parameters):
        if parameter is None:
            values[("running_mean", "running_var")[i]] = None
        else:
            values[parameter] = rng.uniform(0.5, 1.5, size) if parameter != "bias" else rng.standard_normal(size)
    return rng.standard_normal(shape) * 2 + 0.7, values, rng.standard_normal(shape)

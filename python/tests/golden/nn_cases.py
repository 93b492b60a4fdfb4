"""Modules whose states, results and gradients PyTorch has computed: used by make_nn.py and by nn/test_golden.py."""

from __future__ import annotations

import numpy as np

#: name -> (class, arguments, keywords, shapes of the inputs, keywords of the call)
CASES: dict[str, tuple] = {
    "linear": ("Linear", (5, 3), {}, [(4, 5)], {}),
    "linear without bias": ("Linear", (5, 3), {"bias": False}, [(2, 4, 5)], {}),
    "bilinear": ("Bilinear", (5, 4, 3), {}, [(2, 3, 5), (2, 3, 4)], {}),
    "conv2d": ("Conv2d", (4, 6, 3), {"stride": 2, "padding": 1, "groups": 2}, [(2, 4, 7, 6)], {}),
    "conv2d same": ("Conv2d", (2, 3, (2, 4)), {"padding": "same", "dilation": 2}, [(1, 2, 6, 7)], {}),
    "conv2d reflect": ("Conv2d", (2, 3, 3), {"padding": (1, 2), "padding_mode": "reflect"}, [(1, 2, 5, 6)], {}),
    "conv2d circular": ("Conv2d", (2, 3, 3), {"padding": "same", "padding_mode": "circular"}, [(1, 2, 5, 6)], {}),
    "conv1d replicate": ("Conv1d", (2, 3, 4), {"padding": 2, "padding_mode": "replicate"}, [(2, 2, 6)], {}),
    "conv transpose": (
        "ConvTranspose2d",
        (4, 6, 3),
        {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2},
        [(2, 4, 3, 4)],
        {},
    ),
    "conv transpose by size": ("ConvTranspose2d", (2, 3, 3), {"stride": 3}, [(1, 2, 3, 2)], {"output_size": [10, 8]}),
    "batch norm 1d": ("BatchNorm1d", (4,), {}, [(6, 4)], {}),
    "batch norm 2d": ("BatchNorm2d", (4,), {"momentum": 0.3}, [(3, 4, 2, 5)], {}),
    "batch norm cumulative": ("BatchNorm1d", (3,), {"momentum": None, "affine": False}, [(4, 3, 5)], {}),
    "batch norm without statistics": ("BatchNorm1d", (3,), {"track_running_stats": False}, [(4, 3)], {}),
    "layer norm": ("LayerNorm", ((3, 5),), {}, [(2, 4, 3, 5)], {}),
    "layer norm without bias": ("LayerNorm", (5,), {"bias": False, "eps": 1e-2}, [(3, 5)], {}),
    "rms norm": ("RMSNorm", (5,), {}, [(3, 5)], {}),
    "group norm": ("GroupNorm", (2, 6), {}, [(2, 6, 3)], {}),
    "instance norm": ("InstanceNorm2d", (3,), {"affine": True, "track_running_stats": True}, [(2, 3, 4, 5)], {}),
    "embedding": ("Embedding", (6, 3), {"padding_idx": 2}, ["indices"], {}),
    "prelu": ("PReLU", (3,), {}, [(2, 3, 4)], {}),
    "attention": ("MultiheadAttention", (8, 2), {}, [(5, 3, 8), (6, 3, 8), (6, 3, 8)], {}),
    "attention batch first": (
        "MultiheadAttention",
        (8, 4),
        {"batch_first": True},
        [(3, 5, 8), (3, 6, 8), (3, 6, 8)],
        {"average_attn_weights": False, "key_padding_mask": "padding"},
    ),
    "attention self": ("MultiheadAttention", (8, 2), {"batch_first": True}, [(3, 5, 8), "again", "again"], {}),
    "attention key is value": (
        "MultiheadAttention",
        (8, 2),
        {},
        [(5, 3, 8), (6, 3, 8), "again"],
        {"need_weights": False},
    ),
    "attention unbatched": ("MultiheadAttention", (8, 2), {}, [(5, 8), (6, 8), (6, 8)], {"attn_mask": "mask"}),
    "attention widths": (
        "MultiheadAttention",
        (8, 2),
        {"kdim": 3, "vdim": 4, "bias": False},
        [(5, 3, 8), (6, 3, 3), (6, 3, 4)],
        {"attn_mask": "mask", "key_padding_mask": "padding"},
    ),
    "attention bias": (
        "MultiheadAttention",
        (8, 2),
        {"add_bias_kv": True, "add_zero_attn": True},
        [(5, 3, 8), (6, 3, 8), (6, 3, 8)],
        {"attn_mask": "mask", "key_padding_mask": "padding"},
    ),
    "attention bias without weights": (
        "MultiheadAttention",
        (8, 2),
        {"add_bias_kv": True, "add_zero_attn": True, "batch_first": True},
        [(3, 5, 8), (3, 6, 8), (3, 6, 8)],
        {"attn_mask": "numbers", "key_padding_mask": "padding", "need_weights": False},
    ),
    "attention mask of heads": (
        "MultiheadAttention",
        (8, 2),
        {},
        [(5, 3, 8), (6, 3, 8), (6, 3, 8)],
        {"attn_mask": "heads", "need_weights": False},
    ),
    "attention numbers": (
        "MultiheadAttention",
        (8, 2),
        {},
        [(5, 3, 8), (6, 3, 8), (6, 3, 8)],
        {"attn_mask": "numbers", "key_padding_mask": "number padding"},
    ),
    "attention causal": (
        "MultiheadAttention",
        (8, 2),
        {"batch_first": True},
        [(3, 6, 8), "again", "again"],
        {"attn_mask": "causal", "is_causal": True, "need_weights": False},
    ),
    "attention causal weights": (
        "MultiheadAttention",
        (8, 2),
        {},
        [(6, 3, 8), "again", "again"],
        {"attn_mask": "causal", "is_causal": True},
    ),
    "encoder layer": (
        "TransformerEncoderLayer",
        (8, 2, 12),
        {"dropout": 0.0},
        [(5, 3, 8)],
        {"src_mask": "square", "src_key_padding_mask": "short"},
    ),
    "encoder layer norm first": (
        "TransformerEncoderLayer",
        (8, 2, 12),
        {"dropout": 0.0, "activation": "gelu", "norm_first": True, "batch_first": True, "bias": False},
        [(3, 5, 8)],
        {},
    ),
    "decoder layer": (
        "TransformerDecoderLayer",
        (8, 2, 12),
        {"dropout": 0.0},
        [(5, 3, 8), (6, 3, 8)],
        {"memory_mask": "mask"},
    ),
    "transformer": (
        "Transformer",
        (8, 2, 2, 1, 12),
        {"dropout": 0.0},
        [(6, 3, 8), (5, 3, 8)],
        {"tgt_mask": "triangle"},
    ),
    "attention heads with widths": (
        "MultiheadAttention",
        (8, 4),
        {"kdim": 5, "add_bias_kv": True, "batch_first": True},
        [(3, 5, 8), (3, 6, 5), (3, 6, 8)],
        {"average_attn_weights": False, "attn_mask": "numbers"},
    ),
    "decoder layer norm first": (
        "TransformerDecoderLayer",
        (8, 2, 12),
        {"dropout": 0.0, "norm_first": True, "batch_first": True, "activation": "gelu", "layer_norm_eps": 1e-3},
        [(3, 5, 8), (3, 6, 8)],
        {
            "tgt_mask": "causal 5",
            "tgt_is_causal": True,
            "tgt_key_padding_mask": "short",
            "memory_key_padding_mask": "padding",
        },
    ),
    "encoder": (
        "TransformerEncoder",
        (("TransformerEncoderLayer", (8, 2, 12), {"dropout": 0.0}), 2),
        {"norm": ("LayerNorm", (8,), {}), "enable_nested_tensor": False, "mask_check": False},
        [(6, 3, 8)],
        {"mask": "causal", "is_causal": True},
    ),
    "decoder": (
        "TransformerDecoder",
        (("TransformerDecoderLayer", (8, 2, 12), {"dropout": 0.0, "batch_first": True}), 2),
        {},
        [(3, 5, 8), (3, 6, 8)],
        {"tgt_mask": "causal 5", "memory_mask": "mask"},
    ),
    "transformer batch first": (
        "Transformer",
        (8, 2, 1, 1, 12),
        {"dropout": 0.0, "batch_first": True, "norm_first": True, "bias": False},
        [(3, 6, 8), (3, 5, 8)],
        {"src_key_padding_mask": "padding", "memory_key_padding_mask": "padding", "tgt_mask": "causal 5"},
    ),
    "pixel shuffle": ("PixelShuffle", (2,), {}, [(2, 8, 2, 3)], {}),
    "pixel unshuffle": ("PixelUnshuffle", (3,), {}, [(2, 3, 6)], {}),
    "channel shuffle": ("ChannelShuffle", (3,), {}, [(2, 6, 2, 2)], {}),
    "lp pool 1d": ("LPPool1d", (2, 3), {"stride": 2, "ceil_mode": True}, [(2, 2, 8)], {}),
    "lp pool 2d": ("LPPool2d", (4.0, (2, 3)), {}, [(2, 4, 6)], {}),
    "lp pool 3d": ("LPPool3d", (2, 2), {"stride": 1}, [(1, 3, 3, 3)], {}),
    "lp pool of infinity": ("LPPool2d", (float("inf"), 2), {}, [(1, 2, 4, 5)], {}),
    "lp pool of -infinity": ("LPPool1d", (-float("inf"), 2), {"stride": 1}, [(1, 2, 5)], {}),
    "max unpool 1d": ("MaxUnpool1d", (2,), {}, [(2, 3), "places"], {}),
    "max unpool 1d by size": ("MaxUnpool1d", (3,), {"stride": 2}, [(2, 3), "places"], {"output_size": [8]}),
    "max unpool 2d": ("MaxUnpool2d", (2,), {"stride": (2, 1)}, [(1, 2, 2, 3), "places"], {}),
    "max unpool 3d": ("MaxUnpool3d", ((1, 2, 2),), {"padding": (0, 1, 0)}, [(1, 2, 1, 2, 3), "places"], {}),
    "zero pad 1d": ("ZeroPad1d", ((2, -1),), {}, [(1, 2, 4)], {}),
    "zero pad 2d": ("ZeroPad2d", ((1, 0, 2, -1),), {}, [(1, 2, 3, 3)], {}),
    "zero pad 3d": ("ZeroPad3d", (1,), {}, [(1, 2, 1, 2)], {}),
    "constant pad 1d": ("ConstantPad1d", (2, 3.5), {}, [(2, 3)], {}),
    "constant pad 2d": ("ConstantPad2d", ((1, 2, 0, 1), -1.0), {}, [(1, 2, 2)], {}),
    "constant pad 3d": ("ConstantPad3d", ((0, 1, 1, 0, 2, 0), 0.5), {}, [(1, 1, 2, 2)], {}),
    "reflection pad 1d": ("ReflectionPad1d", ((2, 1),), {}, [(1, 2, 3)], {}),
    "reflection pad 2d": ("ReflectionPad2d", ((1, 2, 0, 2),), {}, [(1, 2, 3, 3)], {}),
    "reflection pad 3d": ("ReflectionPad3d", (1,), {}, [(1, 1, 2, 2, 3)], {}),
    "replication pad 1d": ("ReplicationPad1d", (3,), {}, [(1, 2, 2)], {}),
    "replication pad 2d": ("ReplicationPad2d", ((1, 2, 0, 3),), {}, [(1, 2, 2, 3)], {}),
    "replication pad 3d": ("ReplicationPad3d", ((0, 2, 1, 0, 2, 1),), {}, [(1, 1, 2, 1, 2)], {}),
    "circular pad 1d": ("CircularPad1d", ((2, 3),), {}, [(2, 3)], {}),
    "circular pad 2d": ("CircularPad2d", ((1, 2, 0, 3),), {}, [(2, 3, 2)], {}),
    "circular pad 3d": ("CircularPad3d", (1,), {}, [(1, 1, 2, 1, 2)], {}),
}
STEPS = 2  # calls in training, so that running statistics are those of two batches


def build(nn, kind: str, arguments: tuple, keywords: dict):
    """The module of a library's `nn`; (class, arguments, keywords) among the arguments are modules too."""

    def made(value):
        return build(nn, *value) if isinstance(value, tuple) and value and isinstance(value[0], str) else value

    return getattr(nn, kind)(*map(made, arguments), **{key: made(value) for key, value in keywords.items()})


def masks() -> dict[str, np.ndarray]:
    """What the names in the keywords of a call stand for: 5 queries, 6 keys, 3 samples, 2 heads."""
    random = np.random.default_rng(7)
    mask = random.random((5, 6)) < 0.3
    mask[:, 1] = False
    heads = random.random((6, 5, 6)) < 0.3
    heads[:, :, 1] = False
    padding = np.zeros((3, 6), bool)
    padding[0, 4:] = padding[2, 2:] = True
    numbers = random.normal(size=(5, 6))
    numbers[2, 3] = -np.inf
    number_padding = np.where(padding, -np.inf, 0.0)
    causal = np.triu(np.ones((6, 6), bool), 1)
    return {
        "mask": mask,
        "heads": heads,
        "padding": padding,
        "numbers": numbers,
        "number padding": number_padding,
        "causal": causal,
        "causal 5": causal[:5, :5],
        "square": mask[:, :5],
        "short": padding[:, :5],
        "triangle": np.triu(np.full((5, 5), -np.inf), 1),
    }


def inputs(name: str) -> list[np.ndarray | str]:
    """The inputs of a case, float64 or indices; "again" stands for the one before."""
    random = np.random.default_rng(list(CASES).index(name))
    found: list = []
    for shape in CASES[name][3]:
        if shape == "again":
            found.append("again")
        elif shape == "indices":
            found.append(random.integers(0, 6, (4, 5)))
        elif shape == "places":  # of the values before, where they go in a plane: every second place
            before = found[-1].shape
            spatial = before[1 if len(before) == 2 else 2 :]
            found.append(np.broadcast_to(2 * np.arange(np.prod(spatial)).reshape(spatial), before).copy())
        else:
            found.append(random.normal(size=shape))
    return found

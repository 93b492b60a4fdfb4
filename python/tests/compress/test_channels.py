"""Channels that are removed: the smaller model equals the original with them at 0, whatever way they take."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import spinetail as st
from spinetail import nn
from spinetail.compress import prune
from spinetail.compress.prune.channels import plan, zero

F = nn.functional


class Plain(nn.Module):
    """Convolution, batch norm, pooling, flatten to linear."""

    shape = (3, 8, 8)

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 12, 3)
        self.fc1 = nn.Linear(12 * 9, 20)
        self.drop = nn.Dropout(0.5)
        self.fc2 = nn.Linear(20, 5)

    def forward(self, x):
        x = F.relu(self.norm(self.conv1(x)))
        x = F.max_pool2d(F.gelu(self.conv2(x)), 2)
        return self.fc2(self.drop(F.relu(self.fc1(x.flatten(1)))))


class Residual(nn.Module):
    """Two branches that are added, then a mean over the places."""

    shape = (3, 6, 6)

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.a = nn.Conv2d(8, 10, 3, padding=1)
        self.b = nn.Conv2d(10, 8, 1)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = F.relu(self.stem(x))
        x = F.relu(x + self.b(F.relu(self.a(x))))
        return self.head(x.mean((2, 3)))


class Joined(nn.Module):
    """Concatenation, permutation, splitting, scaling."""

    shape = (3, 4, 4)

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 6, 1)
        self.c = nn.Conv2d(10, 8, 1)
        self.left, self.right = nn.Linear(4 * 16, 3), nn.Linear(4, 3)

    def forward(self, x):
        x = st.cat([st.tanh(self.a(x)), self.b(x) * 0.5], 1)
        x = self.c(x)
        first, second = x.chunk(2, 1)
        return self.left(first.reshape(len(x), -1)) + self.right(second.permute(0, 2, 3, 1)).sum((1, 2))


class Depthwise(nn.Module):
    """A depthwise convolution belongs to the channels that enter it; another grouped one keeps them."""

    shape = (3, 6, 6)

    def __init__(self):
        super().__init__()
        self.expand = nn.Conv2d(3, 8, 1)
        self.depth = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.norm = nn.BatchNorm2d(8)
        self.project = nn.Conv2d(8, 6, 1)
        self.grouped = nn.Conv2d(6, 6, 1, groups=2)
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        x = F.relu(self.norm(self.depth(F.relu(self.expand(x)))))
        return self.head(F.adaptive_avg_pool2d(self.grouped(self.project(x)), 1).flatten(1))


class Attention(nn.Module):
    """Attention and layer norm keep their width; the feed-forward's neurons and the convolution's channels go."""

    shape = (2, 4, 4)

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 6, 3, padding=1)
        self.embed = nn.Linear(6, 8)
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.embed(F.relu(self.conv(x)).flatten(2).transpose(1, 2))
        rows = self.norm1(x)
        x = x + self.attention(rows, rows, rows, need_weights=False)[0]
        x = x + self.down(F.gelu(self.up(self.norm2(x))))
        return self.head(x.mean(1))


SIZES = {
    Plain: {
        "conv1.weight": (4, 3, 3, 3),
        "norm.running_var": (4,),
        "conv2.weight": (6, 4, 3, 3),
        "fc1.weight": (10, 54),
        "fc2.weight": (5, 10),
    },
    Residual: {"stem.weight": (4, 3, 3, 3), "a.weight": (5, 4, 3, 3), "b.weight": (4, 5, 1, 1), "head.weight": (4, 4)},
    Joined: {
        "a.weight": (2, 3, 1, 1),
        "b.weight": (3, 3, 1, 1),
        "c.weight": (4, 5, 1, 1),
        "left.weight": (3, 32),
        "right.weight": (3, 2),
    },
    Depthwise: {
        "expand.weight": (4, 3, 1, 1),
        "depth.weight": (4, 1, 3, 3),
        "norm.weight": (4,),
        "project.weight": (6, 4, 1, 1),
        "grouped.weight": (6, 3, 1, 1),
    },
    Attention: {
        "conv.weight": (3, 2, 3, 3),
        "embed.weight": (8, 3),
        "attention.in_proj_weight": (24, 8),
        "up.weight": (8, 8),
        "down.weight": (8, 8),
        "head.weight": (3, 8),
    },
}


def built(kind: type) -> tuple[nn.Module, st.Tensor]:
    st.manual_seed(0)
    model, x = kind(), st.randn(2, *kind.shape)
    for name, buffer in model.named_buffers():
        if name.endswith(("mean", "var")):
            buffer.copy_(st.rand(buffer.shape) + 0.5)
    return model, x


@pytest.mark.parametrize("kind", list(SIZES))
@pytest.mark.parametrize("criterion", ["l1", "l2"])
def test_equals_the_original_without_the_channels(kind, criterion):
    model, x = built(kind)
    before = {name: value.numpy(force=True).copy() for name, value in model.state_dict().items()}
    small = prune.channels(model, 0.5, criterion, example=x)
    whole = zero(model, plan(model, 0.5, criterion, example=x))
    other = st.randn(5, *kind.shape)  # another input of another batch size than the example
    with st.no_grad():
        np.testing.assert_allclose(small.eval()(other).numpy(), whole.eval()(other).numpy(), atol=1e-5)
    state = small.state_dict()
    for name, shape in SIZES[kind].items():
        assert tuple(state[name].shape) == shape, name
    assert list(state) == list(before)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(force=True), before[name])
    assert model.training and all(p.requires_grad for p in small.parameters())


def test_attributes_follow():
    model, x = built(Depthwise)
    small = prune.channels(model, 0.5, example=x)
    assert (small.expand.out_channels, small.depth.groups, small.depth.in_channels, small.norm.num_features) == (
        4,
        4,
        4,
        4,
    )
    assert (small.project.in_channels, small.grouped.in_channels, small.grouped.groups) == (4, 6, 2)
    plain, x = built(Plain)
    plain = prune.channels(plain, 0.5, example=x)
    assert (plain.fc1.in_features, plain.fc1.out_features, plain.fc2.in_features) == (54, 10, 10)


def test_the_weakest_go():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    with st.no_grad():
        model[0].weight.copy_(st.tensor([[float(i)] * 4 for i in (3, 1, 5, 1, 4, 2)]))
    gone = {s.index for s in plan(model, 0.5, example=st.ones(1, 4)) if s.name == "0.weight"}
    assert gone == {1, 3, 5}
    reverse = {
        s.index
        for s in plan(model, 0.5, lambda w, g, a: -np.abs(w).sum(1), example=st.ones(1, 4))
        if s.name == "0.weight"
    }
    assert reverse == {0, 2, 4}


def test_the_smaller_model_trains():
    model, x = built(Residual)
    small = prune.channels(model, 0.5, example=x)
    optimizer = st.optim.Adam(small.parameters(), lr=0.05)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = F.cross_entropy(small(x), st.tensor([0, 1]))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_ratios():
    model = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 2))
    for ratio, left in ((0.0, 10), (0.14, 9), (0.99, 1)):
        assert prune.channels(model, ratio, example=st.ones(1, 4))[0].out_features == left
    for ratio in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match=r"ratio must be in \[0, 1\)"):
            prune.channels(model, ratio, example=st.ones(1, 4))


def test_masks_are_cut_too():
    model = prune.magnitude(nn.Sequential(nn.Linear(8, 10), nn.ReLU(), nn.Linear(10, 4)), 0.5, "layer")
    small = prune.channels(model, 0.5, example=st.ones(1, 8))
    assert small[0].weight._mask.shape == (5, 8)
    gone = small[0].weight.numpy(force=True) == 0
    small(st.ones(2, 8)).sum().backward()
    st.optim.SGD(small.parameters(), lr=1.0).step()
    np.testing.assert_array_equal(small[0].weight.numpy(force=True) == 0, gone)


def test_exclude():
    model, x = built(Plain)
    for chosen in ("conv1", [model.conv1], "conv?"):
        small = prune.channels(model, 0.5, example=x, exclude=chosen)
        assert small.conv1.out_channels == 8
        assert small.conv2.out_channels == (12 if chosen == "conv?" else 6)
    with pytest.raises(ValueError, match="exclude='conv9' matches no module"):
        prune.channels(model, 0.5, example=x, exclude="conv9")


def test_an_operation_that_cannot_be_followed_is_named():
    class Odd(st.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.flip(1)

        @staticmethod
        def backward(ctx, grad):
            return grad.flip(1)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 2)

        def forward(self, x):
            return self.c(F.relu(self.b(Odd.apply(self.a(x)))))

    with pytest.raises(RuntimeError, match=r"outputs of 'a' enter the operation '.*[Oo]dd.*'.*exclude=\['a'\]"):
        prune.channels(Net(), example=st.ones(1, 4))
    small = prune.channels(Net(), example=st.ones(1, 4), exclude="a")
    assert small.b.out_features == 3 and small.a.out_features == 6


def test_sizes_written_into_forward_are_noticed():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(64, 2)

        def forward(self, x):
            return self.fc(self.conv(x).view(-1, 64))

    with pytest.raises(RuntimeError, match=r"does not (run|compute)"):
        prune.channels(Net(), example=st.randn(2, 1, 6, 6))


def test_weights_used_twice_stay():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(6, 6), nn.Linear(6, 8), nn.Linear(8, 2)

        def forward(self, x):
            return self.c(F.relu(self.b(F.relu(self.a(F.relu(self.a(x)))))))

    small = prune.channels(Net(), example=st.ones(1, 6))
    assert small.a.out_features == 6 and small.b.out_features == 4


@pytest.mark.parametrize("function", ["sigmoid", "softmax", "constant"])
def test_what_makes_something_of_zeros_keeps_channels(function):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 2)

        def forward(self, x):
            x = self.a(x)
            x = {"sigmoid": st.sigmoid, "softmax": lambda v: F.softmax(v, 1), "constant": lambda v: v + 1}[function](x)
            return self.c(F.relu(self.b(x)))

    small = prune.channels(Net(), example=st.ones(1, 4))
    assert small.a.out_features == 6 and small.b.out_features == 3


def test_bad_input():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    with pytest.raises(ValueError, match="example"):
        prune.channels(model)
    with pytest.raises(TypeError, match="expected a Module"):
        prune.channels(lambda x: x, example=st.ones(1, 4))
    with pytest.raises(ValueError, match="'l1' or 'l2' or a function"):
        prune.channels(model, criterion="l3", example=st.ones(1, 4))
    with pytest.raises(ValueError, match="no channel that could be removed: it is an output"):
        prune.channels(nn.Linear(4, 4), example=st.ones(1, 4))
    bad = copy.deepcopy(model)
    with st.no_grad():
        bad[0].weight[0, 0] = float("nan")
    with pytest.raises(ValueError, match=r"'0\.weight' has NaN"):
        prune.channels(bad, example=st.ones(1, 4))

"""Which channels depend on each other, read from one recorded forward pass.

Every element of every intermediate value carries a label: the unit (channel or neuron) that it belongs to, FIXED for
what no unit can be removed from, EMPTY for what is always 0. Layers make units and use them; operations hand labels on.
How an operation that only moves elements (a reshape, a concatenation, …) hands them on is asked of its own backward.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...autograd.graph import Operation, Trace
from ...nn import Module, Parameter

__all__ = ["EMPTY", "FIXED", "Slice", "Units", "follow", "is_kind"]

FIXED = 0
EMPTY = -1

#: Operations that move elements, repeat none, and may put zeros between them.
MOVES = frozenset(
    "T adjoint cat channel_shuffle chunk clone concat contiguous diagonal expand flatten flip fliplr flipud "
    "hsplit index mT movedim narrow pad permute pixel_shuffle pixel_unshuffle ravel reshape reshape_as roll rot90 "
    "select slice split squeeze stack swapaxes t transpose unbind unflatten unsqueeze view view_as vsplit".split()
)
#: Element-wise functions with f(0) = 0.
ZERO_KEEPING = frozenset(
    "abs alpha_dropout asin asinh atan atanh ceil celu deg2rad dropout dropout1d dropout2d dropout3d elu erf "
    "expm1 feature_alpha_dropout floor frac gelu hardshrink hardswish hardtanh leaky_relu log1p mish module_hook "
    "neg rad2deg relu relu6 round selu sign silu sin sinh softshrink softsign sqrt square tan tanh tanhshrink "
    "threshold to trunc".split()
)
POOLS = ("max_pool", "avg_pool", "adaptive_max_pool", "adaptive_avg_pool", "lp_pool", "interpolate", "upsample")
#: Operations that mix channels, or make something of a channel of zeros: what enters them stays as it is.
BARRIERS = frozenset(
    "acos acosh addmm amax amin baddbmm bmm clamp cos cosh cross_entropy cumprod cumsum dot einsum embedding exp "
    "exp2 gather glu group_norm gru hardsigmoid layer_norm local_response_norm log log10 log2 log_softmax "
    "logsigmoid logsumexp lstm matmul max min mm mse_loss multi_head_attention mv nll_loss norm normalize pow "
    "prelu prod reciprocal repeat rms_norm rnn rrelu rsqrt scaled_dot_product_attention scatter sigmoid softmax "
    "softmin softplus std var where".split()
)


@dataclass(frozen=True)
class Slice:
    """Index `index` of axis `axis` of the parameter or buffer `name`; `role` is "made", "follows" or "used"."""

    name: str
    axis: int
    index: int
    role: str


class Units:
    """All units found, which of them are one (union-find), and what keeps some from being removed."""

    def __init__(self) -> None:
        self.parent = [0]
        self.places: list[tuple[str, int, np.ndarray, str]] = []
        self.kept: dict[int, str] = {}
        self.unknown: dict[int, str] = {}

    def make(self, count: int) -> np.ndarray:
        """Labels of new units."""
        first = len(self.parent)
        self.parent.extend(range(first, first + count))
        return np.arange(first, first + count)

    def find(self, label: int) -> int:
        """The unit that stands for all that were joined with this one."""
        while self.parent[label] != label:
            self.parent[label] = self.parent[self.parent[label]]
            label = self.parent[label]
        return label

    def roots(self, labels: np.ndarray) -> np.ndarray:
        """`find` of every label; EMPTY stays."""
        values, places = np.unique(labels, return_inverse=True)
        found = np.array([self.find(int(v)) if v > 0 else v for v in values], np.int64)
        result: np.ndarray = found[places.reshape(-1)].reshape(labels.shape)
        return result

    def keep(self, labels: np.ndarray, why: str) -> None:
        """Let no unit among the labels be removed."""
        for label in np.unique(labels):
            if label > 0:
                self.kept.setdefault(int(label), why)

    def lose(self, labels: np.ndarray, operation: str) -> None:
        """Note that units enter an operation that cannot be followed."""
        for label in np.unique(labels):
            if label > 0:
                self.unknown.setdefault(int(label), operation)

    def join(self, first: np.ndarray, second: np.ndarray, why: str) -> np.ndarray:
        """Make units one that meet in the same element; what meets something FIXED is kept."""
        first, second = np.broadcast_arrays(first, second)
        for a, b in np.unique(np.stack([first.reshape(-1), second.reshape(-1)], 1), axis=0).tolist():
            if a > 0 and b > 0:
                self.parent[self.find(a)] = self.find(b)
            elif FIXED in (a, b) and max(a, b) > 0:
                self.keep(np.array([max(a, b)]), why)
        joined: np.ndarray = np.maximum(first, second)
        return joined

    def place(self, name: str, axis: int, labels: np.ndarray, role: str) -> None:
        """Note which slices of a parameter belong to the units."""
        self.places.append((name, axis, labels, role))

    def slices(self) -> dict[int, list[Slice]]:
        """The slices of each unit that may be removed."""
        kept = {self.find(label) for label in self.kept}
        found: dict[int, list[Slice]] = {}
        for name, axis, labels, role in self.places:
            for index, root in enumerate(self.roots(labels).tolist()):
                if root > 0 and root not in kept:
                    found.setdefault(root, []).append(Slice(name, axis, index, role))
        return {root: slices for root, slices in found.items() if any(s.role == "made" for s in slices)}

    def lost(self) -> dict[int, str]:
        """The units that enter an operation that cannot be followed, with its name."""
        return {self.find(label): operation for label, operation in self.unknown.items()}


def follow(model: Module, trace: Trace) -> Units:
    """Label the values of a recorded pass, and return the units."""
    return _Walk(model, trace).units


class _Walk:
    def __init__(self, model: Module, trace: Trace) -> None:
        self.units = Units()
        self.modules = dict(model.named_modules())
        self.names = {id(p): name for name, p in reversed(list(model.named_parameters(remove_duplicate=False)))}
        self.labels: dict[int, np.ndarray] = {}
        uses: dict[int, int] = {}
        for operation in trace.operations:
            if operation.output is None or operation.output == 0:
                for source in operation.sources:
                    if isinstance(source, Parameter):
                        uses[id(source)] = uses.get(id(source), 0) + 1
        self.shared = {key for key, count in uses.items() if count > 1}
        for operation in trace.operations:
            if operation.shape is not None:
                self.labels[id(operation)] = self.step(operation)
        for tensor in trace.outputs:
            last = trace.by_node.get(id(tensor._node))
            if last is not None and id(last) in self.labels:
                self.units.keep(self.labels[id(last)], "it is an output of the model")

    def of(self, operation: Operation, index: int) -> np.ndarray | None:
        """The labels of an input; None where its shape is not known."""
        source = operation.sources[index] if index < len(operation.sources) else None
        if isinstance(source, Operation):
            return self.labels.get(id(source))
        return None if source is None else np.zeros(source._array.shape, np.int64)

    def step(self, operation: Operation) -> np.ndarray:
        """The labels of what an operation puts out."""
        name, shape = operation.name, operation.shape or ()
        if name.startswith("linear"):
            return self.layer(operation, channel=-1, groups=1)
        if name.startswith("conv") and len(operation.source_shape(1) or ()) > 2:
            return self.convolution(operation)
        if name in ("batch_norm", "instance_norm"):
            return self.norm(operation)
        if name in MOVES:
            return self.move(operation)
        if name in ("add", "sub", "mul", "div", "maximum", "minimum", "copy_slices"):
            return self.combine(operation)
        first = self.of(operation, 0)
        if name in ("sum", "mean") and first is not None:
            return self.reduce(operation, first)
        if name in ZERO_KEEPING and first is not None and first.shape == shape:
            return first
        if name.startswith(POOLS) and first is not None and first.ndim == len(shape) and first.ndim > 2:
            channels = self.vector(first, 1, f"{name} mixes it with others")
            return np.broadcast_to(channels.reshape(1, -1, *([1] * (len(shape) - 2))), shape)
        known = name in BARRIERS
        for index in range(len(operation.sources)):
            labels = self.of(operation, index)
            if labels is not None:
                if known:
                    self.units.keep(labels, f"it enters {name}")
                else:
                    self.units.lose(labels, name)
        return np.zeros(shape, np.int64)

    def vector(self, labels: np.ndarray, axis: int, why: str) -> np.ndarray:
        """One label for each index of an axis; where they differ along the others, those units are kept."""
        rows = np.moveaxis(self.units.roots(labels), axis, 0).reshape(labels.shape[axis], -1)
        if not rows.shape[1]:
            return np.zeros(len(rows), np.int64)
        result = rows.max(axis=1)
        mixed = ((rows != result[:, None]) & (rows != EMPTY)).any(axis=1)
        self.units.keep(rows[mixed], why)
        result = np.where(mixed | (result == EMPTY), FIXED, result)
        return result

    # Layers

    def owner(self, operation: Operation, index: int, kinds: tuple[str, ...]) -> str | None:
        """The name of the parameter that is input `index`, if its layer can be made smaller."""
        source = operation.sources[index] if index < len(operation.sources) else None
        if not isinstance(source, Parameter) or id(source) in self.shared:
            return None
        name = self.names.get(id(source))
        if name is None:
            return None
        path = name.rpartition(".")[0]
        parts = path.split(".") if path else []
        above = [".".join(parts[:i]) for i in range(len(parts))]
        if any(is_kind(self.modules[p], ("MultiheadAttention",)) for p in above if p in self.modules):
            return None
        return name if is_kind(self.modules[path], kinds) else None

    def layer(
        self, operation: Operation, channel: int, groups: int, kinds: tuple[str, ...] = ("Linear",)
    ) -> np.ndarray:
        """A layer that uses the units of its input and makes new ones: linear, or convolution without groups."""
        entering, shape = self.of(operation, 0), operation.shape or ()
        name = self.owner(operation, 1, kinds)
        width = (operation.source_shape(1) or (0,))[0]
        if name is None or groups != 1:
            if entering is not None:
                self.units.keep(entering, f"it enters {operation.name} in {operation.module or 'the model'}")
            return np.zeros(shape, np.int64)
        if entering is not None:
            used = self.vector(entering, channel % entering.ndim, f"{name} mixes it with others")
            self.units.place(name, 1, used, "used")
        made = self.units.make(width)
        self.units.place(name, 0, made, "made")
        self.bias(operation, made, kinds, "made")
        place = [1] * len(shape)
        place[channel] = -1
        return np.broadcast_to(made.reshape(place), shape)

    def bias(self, operation: Operation, labels: np.ndarray, kinds: tuple[str, ...], role: str) -> None:
        if len(operation.sources) > 2 and operation.sources[2] is not None:
            name = self.owner(operation, 2, kinds)
            if name is None:
                self.units.keep(labels, f"the bias of {operation.name} cannot be made smaller")
            else:
                self.units.place(name, 0, labels, role)

    def convolution(self, operation: Operation) -> np.ndarray:
        weight, shape = operation.source_shape(1) or (), operation.shape or ()
        channel = 1 - len(weight) + len(shape)
        entering = self.of(operation, 0)
        kinds = ("Conv1d", "Conv2d", "Conv3d")
        source = operation.sources[1]
        path = self.names.get(id(source), "").rpartition(".")[0]
        groups = int(getattr(self.modules.get(path), "groups", 1))
        name = self.owner(operation, 1, kinds)
        if name is not None and entering is not None and groups == entering.shape[channel] == weight[0] and groups > 1:
            labels = self.vector(entering, channel, f"{name} mixes it with others")  # depthwise: each channel by itself
            self.units.place(name, 0, labels, "follows")
            self.bias(operation, labels, kinds, "follows")
            place = [1] * len(shape)
            place[channel] = -1
            return np.broadcast_to(labels.reshape(place), shape)
        return self.layer(operation, channel - len(shape), groups, kinds)

    def norm(self, operation: Operation) -> np.ndarray:
        """Batch norm: each channel by itself, with the parameters and statistics of its module."""
        entering, shape = self.of(operation, 0), operation.shape or ()
        module = self.modules.get(operation.module)
        if entering is None or module is None or not is_kind(module, ("BatchNorm", "InstanceNorm")):
            if entering is not None:
                self.units.keep(entering, f"it enters {operation.name} outside a module")
            return np.zeros(shape, np.int64)
        labels = self.vector(entering, 1, f"{operation.module} mixes it with others")
        own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        for name, value in own:
            if value._array.shape == labels.shape:
                self.units.place(f"{operation.module}.{name}".lstrip("."), 0, labels, "follows")
            if id(value) in self.shared:
                self.units.keep(labels, f"{operation.module} is used twice")
        return np.broadcast_to(labels.reshape(1, -1, *([1] * (len(shape) - 2))), shape)

    # Operations without parameters

    def move(self, operation: Operation) -> np.ndarray:
        """An operation that moves elements: its backward, given their numbers, says where they came from."""
        shape = operation.shape or ()
        if operation.name == "expand":
            first = self.of(operation, 0)
            return np.zeros(shape, np.int64) if first is None else np.broadcast_to(first, shape)
        size = int(np.prod(shape, dtype=np.int64))
        numbers = np.arange(1, size + 1, dtype=np.float64).reshape(shape)
        result = np.full(size, EMPTY, np.int64)
        try:
            pulled = operation.pull(numbers)
        except (TypeError, ValueError):
            pulled = operation.pull(numbers.astype(operation.dtype))
        for index, gradient in enumerate(pulled):
            if gradient is None:
                continue
            targets = np.rint(np.asarray(gradient, np.float64)).astype(np.int64).reshape(-1)
            labels = self.of(operation, index)
            flat = np.zeros(targets.shape, np.int64) if labels is None else np.ascontiguousarray(labels).reshape(-1)
            used = (targets > 0) & (targets <= size)
            result[targets[used] - 1] = flat[used]
        if any(source is None for source in operation.sources):
            result[result == EMPTY] = FIXED  # from an input that was not recorded
        return result.reshape(shape)

    def reduce(self, operation: Operation, labels: np.ndarray) -> np.ndarray:
        """A sum or mean: an element of the output belongs to the unit of all that went into it, if it is one."""
        shape = operation.shape or ()
        size = int(np.prod(shape, dtype=np.int64))
        if not size or not labels.size:
            return np.zeros(shape, np.int64)
        scale = labels.size // size if operation.name == "mean" else 1
        numbers = np.arange(1, size + 1, dtype=np.float64).reshape(shape) * scale
        target = np.rint(np.asarray(operation.pull(numbers)[0], np.float64)).astype(np.int64).reshape(-1) - 1
        flat = self.units.roots(labels).reshape(-1)
        result = np.full(size, EMPTY, np.int64)
        np.maximum.at(result, target, flat)
        mixed = np.zeros(size, bool)
        np.logical_or.at(mixed, target, (flat != result[target]) & (flat != EMPTY))
        self.units.keep(flat[mixed[target]], f"{operation.name} mixes it with others")
        result[mixed] = FIXED
        return result.reshape(shape)

    def combine(self, operation: Operation) -> np.ndarray:
        """Arithmetic of two operands: units that meet become one."""
        name, shape = operation.name, operation.shape or ()
        first, second = self.of(operation, 0), self.of(operation, 1)
        scaling = name in ("mul", "div")
        if first is None or second is None:  # the other operand is a number, or an array that is not recorded
            known = first if second is None else second
            if known is None:
                return np.zeros(shape, np.int64)
            if not scaling or (first is None and name == "div"):
                self.units.keep(known, f"a constant enters {name}")
            return np.broadcast_to(known, shape)
        if scaling:
            for labels, other in ((first, second), (second, first)):
                if (
                    not labels.any()
                    and _constant_along(labels, other, shape)
                    and not (name == "div" and other is second)
                ):
                    return np.broadcast_to(other, shape)
        why = f"{name} combines it with something that stays"
        return np.broadcast_to(self.units.join(first, second, why), shape)


def _constant_along(scale: np.ndarray, labels: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether a factor has extent 1 wherever the labels vary."""
    extents = (1,) * (len(shape) - scale.ndim) + scale.shape
    full = np.broadcast_to(labels, shape)
    for axis, extent in enumerate(extents):
        if extent != 1 and shape[axis] > 1 and (full != full.take([0], axis=axis)).any():
            return False
    return True


def is_kind(module: Module, names: tuple[str, ...]) -> bool:
    """Whether a module, or a class it is made from, is one of `nn` with such a name."""
    for cls in type(module).__mro__:
        if cls.__module__.startswith("spinetail.nn") and cls.__name__.startswith(names):
            return True
    return False

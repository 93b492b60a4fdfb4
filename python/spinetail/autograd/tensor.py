"""`Tensor`: one NumPy array, and where its value came from."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from .._tape import Base, make


class Tensor(Base):
    """An array that can require a gradient.

    `tensor`, `zeros` and their like make tensors; `Tensor(2, 3)` makes an uninitialised one and `Tensor([1, 2])` a
    float32 copy, as in PyTorch. Methods are attached by the modules of `spinetail.functional`.

    >>> import spinetail as st
    >>> x = st.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    # The fields are those of `Base`, which C reaches fast:
    #   _array          the ndarray
    #   grad            the accumulated gradient, a Tensor, or None
    #   _hooks          hooks of a leaf
    #   _node           the tape's record of how a non-leaf was made; None for leaves
    #   _requires_grad
    #   _storage        what views of the same memory share (tape.Storage), or None while nobody asked
    #   _view           (base tensor, functions from its array to this one) of a differentiable view, or None
    __slots__ = ()
    __array_priority__ = 1000  # ndarray + Tensor is left to Tensor

    if TYPE_CHECKING:  # what the functional modules attach, as far as a type checker has to know it
        _array: np.ndarray[Any, Any]
        _hooks: Any
        _node: Any
        _requires_grad: bool
        _storage: Any
        _view: Any
        grad: Tensor | None

        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def __setitem__(self, index: Any, value: Any) -> None: ...
        def __len__(self) -> int: ...
        def __bool__(self) -> bool: ...
        def __int__(self) -> int: ...
        def __float__(self) -> float: ...
        def __neg__(self) -> Tensor: ...
        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...

    def __new__(cls, *data, device=None, dtype=None):
        if len(data) == 1 and not isinstance(data[0], (int, np.integer)):
            source = data[0]
            array = np.array(getattr(source, "_array", source), dtypes.get_default_dtype().numpy)
        else:
            array = np.empty(data, dtypes.get_default_dtype().numpy)
        return make(cls, array)

    requires_grad = property(attrgetter("_requires_grad"), doc="Whether `backward` computes a gradient for the tensor.")

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self._array.dtype.kind in "biu":
            raise RuntimeError(f"only tensors of floating-point dtype can require gradients, not {self.dtype}")
        if not value and self._node is not None:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in "
                "a subgraph that doesn't require differentiation use var_no_grad = var.detach()."
            )
        self._requires_grad = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad` in place and return the tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made the tensor."""
        return self._node is None

    @property
    def grad_fn(self):
        """The tape's node of the operation that made the tensor, or None for a leaf."""
        return self._node

    @property
    def dtype(self) -> dtypes.dtype:
        """The type of the elements."""
        return dtypes.of(self._array.dtype)

    @property
    def data(self) -> Tensor:
        """The same memory without history; changes through it are not seen by the tape."""
        return make(type(self), self._array)

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"[data] expected a Tensor, but got {type(value).__name__}")
        if value._array.dtype != self._array.dtype:
            raise TypeError(f"[data] the new data has dtype {value.dtype}, but the tensor has {self.dtype}")
        self._array = value._array
        self._storage = self._view = None

    def detach(self) -> Tensor:
        """The same memory as a tensor without history; in-place changes through it are seen by the tape."""
        result = make(Tensor, self._array)
        result._storage = tape.storage(self)
        return result

    def detach_(self) -> Tensor:
        """Cut the tensor from its history and make it a leaf."""
        if self._view is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead.")
        self._node = None
        self._requires_grad = False
        return self

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None) -> None:
        """Add the gradient of this tensor to `.grad` of every leaf that it depends on.

        Raises: RuntimeError without a graph, on a second pass through a freed graph, for a non-scalar without
        `gradient`, and when a value that is needed has been changed in place.

        >>> import spinetail as st
        >>> w = st.tensor(3.0, requires_grad=True)
        >>> (w * w).backward()
        >>> w.grad
        tensor(6.)
        """
        engine.backward((self,), (gradient,), retain_graph, create_graph, inputs)

    def retain_grad(self) -> None:
        """Let `backward` fill `.grad` of this non-leaf tensor too."""
        if not self._requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if self._node is not None:
            hooks.retain(self)

    def register_hook(self, hook):
        """Call `hook(grad)` when the gradient of this tensor is known; what it returns replaces the gradient.

        Returns a handle whose `remove()` takes the hook away.
        """
        return hooks.register(self, hook)

    def register_post_accumulate_grad_hook(self, hook):
        """Call `hook(tensor)` after `backward` has added to `.grad` of this leaf."""
        return hooks.register_post(self, hook)

    def _bump(self) -> None:
        """Tell the tape that the memory of the tensor has been changed in place."""
        tape.bump(self)

    @property
    def _version(self) -> int:
        return 0 if self._storage is None else self._storage.version

    __hash__ = object.__hash__

    def __reduce_ex__(self, protocol):
        if self._node is not None:
            raise RuntimeError("only leaf tensors can be pickled or deep-copied; call detach() first")
        state = getattr(self, "__dict__", None) or None
        return _rebuild, (type(self), np.array(self._array, copy=True), self._requires_grad, state)

    def __deepcopy__(self, memo: dict) -> Tensor:
        if self._node is not None:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment"
            )
        copy = make(type(self), self._array.copy(), self._requires_grad)
        memo[id(self)] = copy
        if self.grad is not None:
            copy.grad = self.grad.__deepcopy__(memo)
        if getattr(self, "__dict__", None):
            from copy import deepcopy

            copy.__dict__.update(deepcopy(self.__dict__, memo))
        return copy


def _rebuild(cls: type, array: np.ndarray, requires_grad: bool, state: dict | None) -> Tensor:
    tensor = make(cls, array, requires_grad)
    if state:
        tensor.__dict__.update(state)
    return tensor


def method(function):
    """Attach a function to Tensor under its own name; a decorator of the modules in `spinetail.functional`."""
    setattr(Tensor, function.__name__, function)
    return function


from . import engine, hooks, tape  # noqa: E402

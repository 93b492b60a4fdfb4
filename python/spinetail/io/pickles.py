"""A reader of pickles that runs nothing: a stack machine for the values of checkpoints, and a list of known names.

Python's own unpickler calls what the file names. This one knows the opcodes that plain values need and, for everything
else, a table of names with functions of ours; what is not in it is refused by name. Every length is checked against the
bytes that are there, and dict keys are plain, so a short file cannot ask for much memory or time.

Source: Lib/pickletools.py of CPython describes the opcodes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from struct import Struct
from typing import Any

MARK = object()
FLOAT, INT = Struct(">d"), Struct("<i")


class Known:
    """A name of the table, on the stack; `call` is None for a name that is a value, such as a dtype."""

    __slots__ = ("call", "name", "value")

    def __init__(self, name: str, call: Callable[..., Any] | None = None, value: Any = None) -> None:
        self.name = name
        self.call = call
        self.value = value


class Machine:
    """Reads one pickle of `data` from `position` on; `persistent` is called for what the file keeps elsewhere.

    Raises: ValueError for a pickle that is truncated, not valid, or holds anything but plain values and known names.
    """

    def __init__(
        self, data: bytes, position: int, known: Mapping[str, Known], persistent: Callable[[Any], Any] | None = None
    ) -> None:
        self.data = data
        self.position = position
        self.known = known
        self.persistent = persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The value that the pickle holds; `position` is then behind it."""
        data, actions = self.data, ACTIONS
        while True:
            if self.position >= len(data):
                raise ValueError("the pickle is truncated")
            code = data[self.position]
            self.position += 1
            if code == 0x2E:  # STOP
                value = self.pop()
                if self.stack or isinstance(value, Known):
                    raise ValueError("the pickle ends with more or less than one value")
                return value
            action = actions.get(code)
            if action is None:
                raise ValueError(f"the pickle has the opcode {bytes([code])!r}, which plain values do not need")
            action(self)

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        end = self.position + count
        if end > len(self.data):
            raise ValueError("the pickle is truncated")
        piece = self.data[self.position : end]
        self.position = end
        return piece

    def number(self, size: int) -> int:
        """The next unsigned integer of `size` bytes."""
        return int.from_bytes(self.take(size), "little")

    def line(self) -> str:
        """The text up to the next line feed."""
        end = self.data.find(b"\n", self.position)
        if end < 0:
            raise ValueError("the pickle is truncated")
        return self.text(self.take(end - self.position + 1)[:-1])

    @staticmethod
    def text(piece: bytes) -> str:
        """Bytes as UTF-8."""
        return piece.decode("utf-8", "surrogatepass")

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def pop(self) -> Any:
        """Take the last value off the stack."""
        if not self.stack or self.stack[-1] is MARK:
            raise ValueError("the pickle takes a value that is not there")
        return self.stack.pop()

    def top(self, kind: type | tuple[type, ...]) -> Any:
        """The last value, which must be of a kind."""
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise ValueError("the pickle adds to something that is not a container")
        return self.stack[-1]

    def since_mark(self) -> list[Any]:
        """Take off what has come since the last mark."""
        stack = self.stack
        for place in range(len(stack) - 1, -1, -1):
            if stack[place] is MARK:
                items = stack[place + 1 :]
                del stack[place:]
                return items
        raise ValueError("the pickle goes back to a mark that is not there")

    def last(self, count: int) -> tuple[Any, ...]:
        """Take off `count` values."""
        return tuple(reversed([self.pop() for _ in range(count)]))

    def remember(self, place: int) -> None:
        """Note the last value under a number."""
        if not self.stack or self.stack[-1] is MARK:
            raise ValueError("the pickle notes a value that is not there")
        self.memo[place] = self.stack[-1]

    def recall(self, place: int) -> None:
        """Push the value noted under a number."""
        if place not in self.memo:
            raise ValueError(f"the pickle asks for note {place}, which is not there")
        self.push(self.memo[place])

    def find(self, module: Any, name: Any) -> None:
        """Push what a name stands for."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("the pickle has a name that is not a string")
        found = self.known.get(f"{module}.{name}")
        if found is None:
            raise ValueError(
                f"it names '{module}.{name}', and reading that could run code; only tensors, numbers, strings, None, "
                "and dicts, lists and tuples of these are read: save state_dict() of a model or an optimizer, not the "
                "object"
            )
        self.push(found.value if found.call is None else found)

    def reduce(self) -> None:
        """Call a function of the table."""
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Known) or not isinstance(arguments, tuple):
            raise ValueError("the pickle calls something that is not a known function")
        assert function.call is not None
        try:
            self.push(function.call(*arguments))
        except (TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"'{function.name}' cannot take what the pickle gives it: {error}") from None

    def build(self) -> None:
        """Leave out the attributes of a dict, PyTorch's versions of modules."""
        self.pop()
        self.top(OrderedDict)

    def add_items(self, items: list[Any]) -> None:
        """Add keys and values in turn to a dict."""
        target = self.top(dict)
        if len(items) % 2:
            raise ValueError("the pickle gives a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[plain(key)] = value

    def keep_elsewhere(self) -> None:
        """Push what the file keeps outside of the pickle."""
        if self.persistent is None:
            raise ValueError("the pickle refers to data that is not there")
        self.push(self.persistent(self.pop()))


def plain(key: Any) -> Any:
    """A dict's key or a set's entry, if it is a string, a number, None, or a tuple of these."""
    for part in key if type(key) is tuple else (key,):
        if type(part) not in (str, bytes, int, float, bool, type(None)):
            raise ValueError(f"a key or an entry of a set is a {type(part).__name__}")
    return key


def _long(machine: Machine) -> None:
    machine.push(int.from_bytes(machine.take(machine.number(1)), "little", signed=True))


def _append(machine: Machine, items: list[Any]) -> None:
    target = machine.top((list, set))
    if isinstance(target, set):
        target.update([plain(item) for item in items])
    else:
        target.extend(items)


def _frame(machine: Machine) -> None:
    if machine.number(8) > len(machine.data) - machine.position:
        raise ValueError("the pickle is truncated")


def _proto(machine: Machine) -> None:
    if machine.number(1) > 5:
        raise ValueError("the pickle has a protocol above 5")


ACTIONS: dict[int, Callable[[Machine], Any]] = {
    ord(code): action
    for code, action in {
        "\x80": _proto,
        "\x95": _frame,
        "(": lambda m: m.push(MARK),
        "N": lambda m: m.push(None),
        "\x88": lambda m: m.push(True),
        "\x89": lambda m: m.push(False),
        "K": lambda m: m.push(m.number(1)),
        "M": lambda m: m.push(m.number(2)),
        "J": lambda m: m.push(INT.unpack(m.take(4))[0]),
        "\x8a": _long,
        "G": lambda m: m.push(FLOAT.unpack(m.take(8))[0]),
        "X": lambda m: m.push(m.text(m.take(m.number(4)))),
        "\x8c": lambda m: m.push(m.text(m.take(m.number(1)))),
        "\x8d": lambda m: m.push(m.text(m.take(m.number(8)))),
        "U": lambda m: m.push(m.text(m.take(m.number(1)))),  # strings of Python 2
        "T": lambda m: m.push(m.text(m.take(m.number(4)))),
        "C": lambda m: m.push(m.take(m.number(1))),
        "B": lambda m: m.push(m.take(m.number(4))),
        "}": lambda m: m.push({}),
        "]": lambda m: m.push([]),
        ")": lambda m: m.push(()),
        "\x8f": lambda m: m.push(set()),
        "t": lambda m: m.push(tuple(m.since_mark())),
        "\x85": lambda m: m.push(m.last(1)),
        "\x86": lambda m: m.push(m.last(2)),
        "\x87": lambda m: m.push(m.last(3)),
        "s": lambda m: m.add_items(list(m.last(2))),
        "u": lambda m: m.add_items(m.since_mark()),
        "a": lambda m: _append(m, list(m.last(1))),
        "e": lambda m: _append(m, m.since_mark()),
        "\x90": lambda m: _append(m, m.since_mark()),
        "q": lambda m: m.remember(m.number(1)),
        "r": lambda m: m.remember(m.number(4)),
        "\x94": lambda m: m.remember(len(m.memo)),
        "h": lambda m: m.recall(m.number(1)),
        "j": lambda m: m.recall(m.number(4)),
        "c": lambda m: m.find(m.line(), m.line()),
        "\x93": lambda m: m.find(*m.last(2)),
        "Q": lambda m: m.keep_elsewhere(),
        "R": lambda m: m.reduce(),
        "\x81": lambda m: m.reduce(),
        "b": lambda m: m.build(),
    }.items()
}

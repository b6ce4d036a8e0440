"""Reading what a pickle says without doing it.

A pickle is a program for a stack machine. ``read_tensors`` walks through the few
instructions that ``torch.save`` writes for a dictionary of tensors and refuses every other
one; names of functions stay names. Nothing is imported, called or constructed.
"""

import math
import pickletools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MARK = object()
ORDERED_DICT = "collections OrderedDict"
REBUILD = "torch._utils _rebuild_tensor_v2"
STORAGES = {"torch FloatStorage": "<f4", "torch DoubleStorage": "<f8"}
KNOWN = frozenset({ORDERED_DICT, REBUILD, *STORAGES})
CONSTANTS = {"NEWTRUE": True, "NEWFALSE": False, "NONE": None}
PUSHED = frozenset({"BININT", "BININT1", "BININT2", "BINUNICODE", "SHORT_BINUNICODE"})
LONGEST = 100_000
"""Instructions; a policy of two layers has a few hundred."""

RUNS_THINGS = {
    "builtins": {"eval", "exec", "compile", "__import__", "open", "breakpoint"},
    "__builtin__": {"eval", "exec", "compile", "__import__", "open"},
}
MODULES_THAT_RUN_THINGS = frozenset({
    "os", "posix", "nt", "subprocess", "sys", "pty", "runpy", "importlib", "shutil", "socket",
    "ctypes", "webbrowser", "code", "commands", "multiprocessing", "asyncio", "pickle",
})  # fmt: skip


class NotTensorsError(ValueError):
    """The pickle is something else than a dictionary of tensors."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a tensor's numbers are: ``count`` numbers of a storage, and how they are arranged."""

    key: str
    dtype: str
    stored: int  # numbers in the storage
    offset: int
    shape: tuple[int, ...]


def read_tensors(content: bytes) -> Mapping[str, StoredTensor]:
    """Return the tensors that a pickled state dictionary names; raises ``NotTensorsError``."""
    machine = _Machine()
    for number, (code, argument) in enumerate(_instructions(content)):
        if number > LONGEST:
            raise NotTensorsError(f"it has more than {LONGEST:,} instructions")
        if code == "STOP":
            return _tensors(machine.pop())
        machine.do(code, argument)
    raise NotTensorsError("it has no end")


def suspicious_names(content: bytes) -> Iterator[str]:
    """Yield the functions a pickle names that start programs or read files.

    This is no protection, and needs to be none, for nothing is ever unpickled; it tells a
    hostile file from a harmless one.
    """
    recent: list[object] = []
    memo: list[object] = []
    for code, argument in _instructions(content):
        if code in ("GLOBAL", "INST"):
            yield from _suspicious(str(argument))
        elif code == "STACK_GLOBAL":
            yield from _suspicious(" ".join(map(str, recent[-2:])))
        elif code in ("MEMOIZE", "BINPUT", "LONG_BINPUT"):
            memo.append(recent[-1] if recent else None)
        elif code in ("BINGET", "LONG_BINGET"):
            recent.append(memo[argument] if argument < len(memo) else None)
        else:
            recent.append(argument)


def _suspicious(name: str) -> Iterator[str]:
    module, _, function = name.partition(" ")
    if module.partition(".")[0] in MODULES_THAT_RUN_THINGS:
        yield f"{module}.{function}"
    if function in RUNS_THINGS.get(module, ()):
        yield f"{module}.{function}"


def _instructions(content: bytes) -> Iterator[tuple[str, Any]]:
    try:
        for code, argument, _ in pickletools.genops(content):
            yield code.name, argument
    except (ValueError, UnicodeDecodeError, OverflowError, IndexError) as error:
        raise NotTensorsError(f"it is damaged: {error}") from error


class _Machine:
    """The stack and memo of the walk; every instruction it does not know is refused."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._steps: dict[str, Callable[[Any], None]] = {
            "PROTO": lambda _: None,
            "FRAME": lambda _: None,
            "MARK": lambda _: self._stack.append(MARK),
            "EMPTY_DICT": lambda _: self._stack.append({}),
            "EMPTY_TUPLE": lambda _: self._stack.append(()),
            "GLOBAL": self._name,
            "BINPUT": self._remember,
            "LONG_BINPUT": self._remember,
            "BINGET": self._recall,
            "LONG_BINGET": self._recall,
            "TUPLE": lambda _: self._stack.append(tuple(self._since_mark())),
            "TUPLE1": lambda _: self._tuple(1),
            "TUPLE2": lambda _: self._tuple(2),
            "TUPLE3": lambda _: self._tuple(3),
            "BINPERSID": lambda _: self._stack.append(_storage(self.pop())),
            "REDUCE": lambda _: self._reduce(),
            "BUILD": lambda _: self._build(),
            "SETITEM": lambda _: self._set(self._last(2)),
            "SETITEMS": lambda _: self._set(self._since_mark()),
        }

    def do(self, code: str, argument: Any) -> None:  # noqa: ANN401 - of whatever type pickle has
        """Take one instruction."""
        if code in PUSHED:
            self._stack.append(argument)
        elif code in CONSTANTS:
            self._stack.append(CONSTANTS[code])
        elif code in self._steps:
            self._steps[code](argument)
        else:
            raise NotTensorsError(f"it has the instruction {code}, which no tensor needs")

    def pop(self) -> Any:  # noqa: ANN401 - as above
        """Take the last value off the stack."""
        if not self._stack:
            raise NotTensorsError("it takes a value that is not there")
        return self._stack.pop()

    def _name(self, name: str) -> None:
        if name not in KNOWN:
            raise NotTensorsError(f"it calls {name.replace(' ', '.')}")
        self._stack.append(name)

    def _remember(self, number: int) -> None:
        self._memo[number] = self._stack[-1] if self._stack else None

    def _recall(self, number: int) -> None:
        if number not in self._memo:
            raise NotTensorsError("it recalls what it never kept")
        self._stack.append(self._memo[number])

    def _last(self, count: int) -> list[Any]:
        values = [self.pop() for _ in range(count)]
        return values[::-1]

    def _tuple(self, count: int) -> None:
        self._stack.append(tuple(self._last(count)))

    def _since_mark(self) -> list[Any]:
        values: list[Any] = []
        while (value := self.pop()) is not MARK:
            values.append(value)
        return values[::-1]

    def _reduce(self) -> None:
        function, arguments = self._last(2)
        if function == ORDERED_DICT and arguments == ():
            self._stack.append({})
        elif function == REBUILD and isinstance(arguments, tuple):
            self._stack.append(_tensor(arguments))
        else:
            raise NotTensorsError("it calls what is no tensor")

    def _build(self) -> None:
        """Pass over the attributes of a dictionary; torch notes versions of modules there."""
        owner, _ = self._last(2)
        if not isinstance(owner, dict):
            raise NotTensorsError("it changes what is no dictionary")
        self._stack.append(owner)

    def _set(self, items: Sequence[Any]) -> None:
        owner = self.pop()
        if not isinstance(owner, dict) or len(items) % 2:
            raise NotTensorsError("it fills what is no dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str):
                raise NotTensorsError("a name in it is no text")
            owner[key] = value
        self._stack.append(owner)


@dataclass(frozen=True, slots=True)
class _Storage:
    key: str
    dtype: str
    numbers: int


def _storage(parts: object) -> _Storage:
    match parts:
        case ("storage", str(kind), str(key), str(), int(numbers)) if (
            kind in STORAGES and key.isdecimal() and numbers >= 0
        ):
            return _Storage(key, STORAGES[kind], numbers)
        case _:
            raise NotTensorsError("a storage in it is not of real numbers")


def _tensor(arguments: tuple[Any, ...]) -> StoredTensor:
    match arguments:
        case (_Storage() as storage, int(offset), tuple(shape), tuple(stride), *_):
            pass
        case _:
            raise NotTensorsError("a tensor in it is not described as torch does")
    if not all(type(one) is int and one > 0 for one in shape) or len(shape) > 2:  # noqa: PLR2004 - weights are matrices, biases vectors
        raise NotTensorsError(f"a tensor in it has the shape {shape}")
    rowwise = tuple(math.prod(shape[place + 1 :]) for place in range(len(shape)))
    if stride != rowwise or not 0 <= offset <= storage.numbers - math.prod(shape):
        raise NotTensorsError("a tensor in it does not lie in its storage row by row")
    return StoredTensor(storage.key, storage.dtype, storage.numbers, offset, shape)


def _tensors(value: object) -> Mapping[str, StoredTensor]:
    if not isinstance(value, dict):
        raise NotTensorsError("it is no dictionary")
    if not all(isinstance(tensor, StoredTensor) for tensor in value.values()):
        raise NotTensorsError("it holds something else than tensors")
    return value

"""Pickles read as data: the few opcodes that state dicts are written in, and nothing is run.

A pickle is a program for a stack machine. Its GLOBAL names any function of any module, and its
REDUCE calls it, which is how a file can run what it likes. Here a name is looked up in a table of
the caller's, whose entries are records and functions of numseg's own; any other name ends the
reading in an error that says which it was. No module is imported because a file names it, and
Python's ``pickle`` takes no part.

The memory that this takes is bounded by the length of the pickle: each opcode adds at most one
object, and a string is as long as it is in the file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from numseg.errors import FileError, shown


class Call(NamedTuple):
    """What a name in a pickle stands for, where the pickle calls it: a function of ours."""

    name: str
    function: Callable[..., Any]


class Pickle(NamedTuple):
    """What a pickle makes, and where the next byte after it is."""

    value: Any
    end: int


def read(
    content: bytes,
    start: int = 0,
    known: Mapping[str, Any] | None = None,
    persistent: Callable[[Any], Any] | None = None,
) -> Pickle:
    """Read one pickle, protocols 2 to 5.

    Parameters
    ----------
    content : bytes
        The file, of which a pickle begins at ``start``.
    known : mapping of str to object
        What each name that the pickle may use stands for: ``"collections.OrderedDict"``. A
        :class:`Call` may be called.
    persistent : function of a persistent id
        What an object outside the pickle is.

    Raises
    ------
    FileError
        If the pickle ends early, is malformed, has an opcode that no state dict needs, or names
        what is not ``known``. One line, with the place; no path.
    """
    machine = _Machine(content, start, known or {}, persistent)
    try:
        return Pickle(machine.run(), machine.at)
    except _Malformed as error:
        raise machine.error(str(error)) from None


class _Malformed(Exception):
    """What is wrong with an opcode's operands."""


_MARK = object()
_KEYS = (str, bytes, int, float, type(None))
"""Keys of dicts. A tuple is none: to hash one that is nested deeply would end the process."""


class _Machine:
    """The stack, the memo, and the place in the file."""

    def __init__(
        self,
        content: bytes,
        start: int,
        known: Mapping[str, Any],
        persistent: Callable[[Any], Any] | None,
    ) -> None:
        self.content = content
        self.at = self.opcode_at = start
        self.known = known
        self.persistent = persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        while True:
            self.opcode_at = self.at
            opcode = self.take(1)
            if opcode == b".":
                value = self.pop()
                if self.stack:
                    raise _Malformed("leaves more than one object")
                return value
            if opcode not in _OPCODES:
                raise _Malformed(f"has the opcode {opcode!r}, which no state dict needs")
            _OPCODES[opcode](self)

    def error(self, reason: str) -> FileError:
        return FileError(f"its pickle {reason} (byte {self.opcode_at})")

    # -- the file -----------------------------------------------------------------------------

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if count > len(self.content) - self.at:
            raise _Malformed("ends too early")
        self.at += count
        return self.content[self.at - count : self.at]

    def number(self, format: str) -> Any:
        """A number in the notation of :mod:`struct`."""
        return struct.unpack(format, self.take(struct.calcsize(format)))[0]

    def text(self, count: int) -> str:
        """A string in UTF-8."""
        try:
            return self.take(count).decode()
        except UnicodeDecodeError:
            raise _Malformed("has a string that is not UTF-8") from None

    def line(self) -> str:
        """A string that ends with its line."""
        end = self.content.find(b"\n", self.at)
        if end < 0:
            raise _Malformed("ends too early")
        return self.text(end + 1 - self.at)[:-1]

    # -- the stack ----------------------------------------------------------------------------

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise _Malformed("takes an object from an empty stack")
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        """All above the last mark, which goes too."""
        for place in range(len(self.stack) - 1, -1, -1):
            if self.stack[place] is _MARK:
                found = self.stack[place + 1 :]
                del self.stack[place:]
                return found
        raise _Malformed("goes back to a mark that is not there")

    def top(self, kind: type) -> Any:
        """The object on top, which is a list or a dict."""
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise _Malformed(f"adds to what is no {kind.__name__}")
        return self.stack[-1]

    # -- opcodes that need more than a line -----------------------------------------------------

    def recall(self, place: int) -> None:
        if place not in self.memo:
            raise _Malformed(f"recalls object {place}, which it has not stored")
        self.push(self.memo[place])

    def store(self, place: int) -> None:
        value = self.pop()
        self.memo[place] = value
        self.push(value)

    def set_items(self, items: list[Any]) -> None:
        target = self.top(dict)
        if len(items) % 2:
            raise _Malformed("has a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, _KEYS):
                raise _Malformed(f"has a key that is a {type(key).__name__}")
            target[key] = value

    def global_name(self, module: Any, name: Any) -> None:
        """A name is what the table says; nothing is imported."""
        full = f"{module}.{name}"
        if full not in self.known:
            raise _Malformed(f"wants {shown(full)}, which no state dict needs; nothing was run")
        self.push(self.known[full])

    def call(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Call) or not isinstance(arguments, tuple):
            what = getattr(function, "name", type(function).__name__)
            raise _Malformed(f"calls {what}, which is not called in a state dict")
        try:
            self.push(function.function(*arguments))
        except FileError as error:
            raise _Malformed(str(error)) from None
        except TypeError:  # of their number
            raise _Malformed(f"calls {function.name} with {len(arguments)} arguments") from None

    def build(self) -> None:
        """State beside an object's content (a state dict's ``_metadata``): not wanted."""
        self.pop()
        value = self.pop()
        if not isinstance(value, dict) and not hasattr(value, "_fields"):  # no record either
            raise _Malformed(f"gives state to a {type(value).__name__}")
        self.push(value)

    def outside(self) -> None:
        if self.persistent is None:
            raise _Malformed("refers to an object outside itself")
        try:
            self.push(self.persistent(self.pop()))
        except FileError as error:
            raise _Malformed(str(error)) from None

    def long(self, count: int) -> None:
        self.push(int.from_bytes(self.take(count), "little", signed=True))


def _append(machine: _Machine) -> None:
    value = machine.pop()
    machine.top(list).append(value)


def _append_all(machine: _Machine) -> None:
    values = machine.pop_to_mark()
    machine.top(list).extend(values)


def _set_item(machine: _Machine) -> None:
    value, key = machine.pop(), machine.pop()
    machine.set_items([key, value])


def _tuple(count: int) -> Callable[[_Machine], None]:
    def make(machine: _Machine) -> None:
        machine.push(tuple([machine.pop() for _ in range(count)][::-1]))

    return make


def _stack_global(machine: _Machine) -> None:
    name, module = machine.pop(), machine.pop()
    if not isinstance(module, str) or not isinstance(name, str):
        raise _Malformed("has a name that is no word")
    machine.global_name(module, name)


_OPCODES: Mapping[bytes, Callable[[_Machine], None]] = {
    b"\x80": lambda m: _check_protocol(m.number("B")),
    b"\x95": lambda m: _check_frame(m, m.number("<Q")),
    b"(": lambda m: m.push(_MARK),
    # constants
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"J": lambda m: m.push(m.number("<i")),
    b"K": lambda m: m.push(m.number("B")),
    b"M": lambda m: m.push(m.number("<H")),
    b"\x8a": lambda m: m.long(m.number("B")),
    b"G": lambda m: m.push(m.number(">d")),
    b"X": lambda m: m.push(m.text(m.number("<I"))),
    b"\x8c": lambda m: m.push(m.text(m.number("B"))),
    b"\x8d": lambda m: m.push(m.text(m.number("<Q"))),
    b"T": lambda m: m.push(m.text(m.number("<I"))),  # Python 2's strings
    b"U": lambda m: m.push(m.text(m.number("B"))),
    b"B": lambda m: m.push(m.take(m.number("<I"))),
    b"C": lambda m: m.push(m.take(m.number("B"))),
    # tuples, lists, dicts
    b")": lambda m: m.push(()),
    b"\x85": _tuple(1),
    b"\x86": _tuple(2),
    b"\x87": _tuple(3),
    b"t": lambda m: m.push(tuple(m.pop_to_mark())),
    b"]": lambda m: m.push([]),
    b"a": _append,
    b"e": _append_all,
    b"}": lambda m: m.push({}),
    b"s": _set_item,
    b"u": lambda m: m.set_items(m.pop_to_mark()),
    # the memo
    b"q": lambda m: m.store(m.number("B")),
    b"r": lambda m: m.store(m.number("<I")),
    b"\x94": lambda m: m.store(len(m.memo)),
    b"h": lambda m: m.recall(m.number("B")),
    b"j": lambda m: m.recall(m.number("<I")),
    # names and calls
    b"c": lambda m: m.global_name(m.line(), m.line()),
    b"\x93": _stack_global,
    b"R": _Machine.call,
    b"b": _Machine.build,
    b"Q": _Machine.outside,
}  # fmt: skip
"""What each opcode does: all that is needed, and no more (Python's pickletools lists them all)."""


def _check_protocol(protocol: int) -> None:
    if not 2 <= protocol <= 5:
        raise _Malformed(f"is of protocol {protocol}, expected 2 to 5")


def _check_frame(machine: _Machine, length: int) -> None:
    if length > len(machine.content) - machine.at:
        raise _Malformed("ends too early")

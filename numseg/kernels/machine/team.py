"""A kernel's chunks among threads that do not ask for the interpreter's lock.

Who launches a kernel puts its arguments into a *job*, as compiled code knows them, with the address
of the kernel. A *thunk* is code that reads the arguments of a job and calls its kernel for a range
of units; there is one for each list of types. Helpers look, awake and in compiled code, at a *box*
each; one that is given a job takes chunks like the thread that launched it. So to share a launch
takes a microsecond or two, and some for the call. To wake a thread, or to wait for the lock that
another one holds, takes up to a hundred.

All of it is numbers at addresses, of 8 bytes each::

    job: next chunk, helpers that are done, failed, chunks, units, address of the kernel, arguments
    box: state, thunk, job
"""

from __future__ import annotations

import inspect
import os
import platform
import threading
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import signature as typed
from numba.extending import intrinsic

from numseg import forks
from numseg.kernels.machine.jit import kernel, rule
from numseg.kernels.machine.threads import address as address_of
from numseg.typing import Array

NEXT, DONE, FAILED, CHUNKS, UNITS, KERNEL, ARGUMENTS = range(0, 56, 8)
"""Bytes from the beginning of a job."""

STATE, THUNK, JOB = range(0, 24, 8)
"""The same of a box."""

BOX_BYTES = 64
"""From one box to the next: each has a line of the cache."""

ASLEEP, WAKING, READY, CLAIMED, GIVEN, BUSY = range(6)
"""States of a box. Who launches makes WAKING of ASLEEP, and wakes its helper; then CLAIMED of
WAKING or READY, and GIVEN; and CLAIMED and WAKING again, if the job ended and was not begun. The
helper makes READY of the first two, BUSY of GIVEN, READY again when it is done, and ASLEEP of
READY. A box that is not CLAIMED, GIVEN or BUSY has job 0: another job may have the same address."""

JOB_NUMBERS = 2048

MOST_SIGNATURES = 64
"""Of a kernel; calls with others are shared by functions of Python."""

UNKNOWN, REFUSED = -2, -1

PATIENCE = 100_000
"""Looks of a thread that waits for others' last chunks, some milliseconds; then it lets other
threads run between looks."""

_INT = ir.IntType(64)
_ON_POSIX = os.name == "posix"
_ON_X86 = platform.machine() in ("x86_64", "AMD64")


def _pointer(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, _INT.as_pointer())


def _load(typing: Any, address: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(_pointer(builder, args[0]), "acquire", align=8)

    return typed(types.int64, types.int64), generate


def _load_after_pause(typing: Any, address: Any) -> Any:
    """After a pause where the CPU knows one."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if _ON_X86:
            pause = ir.FunctionType(ir.VoidType(), [])
            name = "llvm.x86.sse2.pause"
            builder.call(cgutils.get_or_insert_function(builder.module, pause, name), [])
        return builder.load_atomic(_pointer(builder, args[0]), "acquire", align=8)

    return typed(types.int64, types.int64), generate


def _store(typing: Any, address: Any, number: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store_atomic(args[1], _pointer(builder, args[0]), "release", align=8)
        return context.get_dummy_value()

    return typed(types.void, types.int64, types.int64), generate


def _add(typing: Any, address: Any, number: Any) -> Any:
    """The number before."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", _pointer(builder, args[0]), args[1], "seq_cst")

    return typed(types.int64, types.int64, types.int64), generate


def _change(typing: Any, address: Any, before: Any, after: Any) -> Any:
    """Whether it was ``before``, and now is ``after``."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pair = builder.cmpxchg(_pointer(builder, args[0]), args[1], args[2], "seq_cst", "seq_cst")
        return builder.extract_value(pair, 1)

    return typed(types.boolean, types.int64, types.int64, types.int64), generate


_THUNK = ir.FunctionType(ir.VoidType(), [_INT] * 3)


def _call(typing: Any, thunk: Any, job: Any, start: Any, stop: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.call(builder.inttoptr(args[0], _THUNK.as_pointer()), args[1:])
        return context.get_dummy_value()

    return typed(types.void, *[types.int64] * 4), generate


def _pack(typing: Any, job: Any, arguments: Any) -> Any:
    """Put the arguments into the job, and return the address of their thunk."""
    kinds = tuple(arguments)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        fields = [context.get_value_type(kind) for kind in kinds]
        record = ir.LiteralStructType(fields)
        if context.get_abi_sizeof(record) > 8 * JOB_NUMBERS - ARGUMENTS:
            raise ValueError(f"{len(kinds)} arguments do not fit into a job")
        place = builder.inttoptr(builder.add(args[0], _INT(ARGUMENTS)), record.as_pointer())
        for number in range(len(kinds)):
            value = builder.extract_value(args[1], number)
            builder.store(value, cgutils.gep_inbounds(builder, place, 0, number))
        thunk = _thunk(context, builder.module, kinds, record)
        return builder.ptrtoint(thunk, _INT)

    return typed(types.int64, types.int64, arguments), generate


def _thunk(context: Any, module: Any, kinds: tuple[Any, ...], record: Any) -> Any:
    """Call the kernel of a job, of arguments of these kinds, for some of its units."""
    thunk = ir.Function(module, _THUNK, module.get_unique_name("numseg.thunk"))
    thunk.linkage = "internal"
    builder = ir.IRBuilder(thunk.append_basic_block("entry"))
    job, start, stop = thunk.args
    place = builder.inttoptr(builder.add(job, _INT(ARGUMENTS)), record.as_pointer())
    values = [
        builder.load(cgutils.gep_inbounds(builder, place, 0, number))
        for number in range(len(kinds))
    ]
    all_kinds = (types.int64, types.int64, *kinds)
    convention = context.call_conv
    function = convention.get_function_type(types.none, all_kinds)
    address = builder.load(_pointer(builder, builder.add(job, _INT(KERNEL))))
    result, info = (builder.alloca(kind.pointee) for kind in function.args[:2])
    packed = context.get_arg_packer(all_kinds).as_arguments(builder, [start, stop, *values])
    code = builder.call(
        builder.inttoptr(address, function.as_pointer()), [result, info, *packed]
    )  # of numba's calling convention: 0, or -2 for None
    fine = [builder.icmp_signed("==", code, code.type(number)) for number in (0, -2)]
    with builder.if_then(builder.not_(builder.or_(*fine))):
        failed = _pointer(builder, builder.add(job, _INT(FAILED)))
        builder.store_atomic(_INT(1), failed, "release", align=8)
    builder.ret_void()
    return thunk


_sched_yield = types.ExternalFunction("sched_yield", typed(types.int32))


@rule
def let_others_run():
    if _ON_POSIX:
        _sched_yield()


load: Any = intrinsic(_load)
load_after_pause: Any = intrinsic(_load_after_pause)
store: Any = intrinsic(_store)
add: Any = intrinsic(_add)
change: Any = intrinsic(_change)
call: Any = intrinsic(_call)
pack: Any = intrinsic(_pack)


@rule
def take_chunk(thunk, job):
    """The next one, if there is one and none failed."""
    chunks, units = load(job + CHUNKS), load(job + UNITS)
    if load(job + FAILED) != 0:
        return False
    chunk = add(job + NEXT, 1)
    if chunk >= chunks:
        return False
    call(thunk, job, units * chunk // chunks, units * (chunk + 1) // chunks)
    return True


@kernel()
def share(job, table, boxes, count, *arguments):
    """Work at a job with the helpers of so many boxes, if they come before it is done; all of its
    chunks are done then. How many helped; or that nothing was done, UNKNOWN if the table does not
    know the thunk, which the job then has for a kernel, REFUSED if it has no address for it."""
    thunk, pair = pack(job, arguments), table
    while load(pair) != thunk:
        if load(pair) == 0:
            store(job + KERNEL, thunk)
            return UNKNOWN
        pair += 16
    address = load(pair + 8)
    if address == 0:
        return REFUSED
    store(job + KERNEL, address)
    joined = work(thunk, job, boxes, count)
    looks = 0
    while load_after_pause(job + DONE) < joined:  # arrays must not go while helpers write to them
        looks += 1
        if looks > PATIENCE:
            let_others_run()
    return joined


@rule
def work(thunk, job, boxes, count):
    """How many helpers began."""
    joined = 0
    for number in range(count):
        box = boxes + number * BOX_BYTES
        if change(box, READY, CLAIMED) or change(box, WAKING, CLAIMED):
            store(box + THUNK, thunk)
            store(box + JOB, job)
            store(box, GIVEN)
            joined += 1
    while take_chunk(thunk, job):
        pass
    for number in range(count):
        box = boxes + number * BOX_BYTES
        if load(box + JOB) == job and change(box, GIVEN, CLAIMED):
            store(box + JOB, 0)
            store(box, WAKING)
            joined -= 1
    return joined


@kernel()
def put(pair, thunk, address):
    """The address first: who finds the thunk finds its address."""
    store(pair + 8, address)
    store(pair, thunk)


@kernel()
def wake(box):
    """Whether its helper is to be woken: it was asleep, and nobody else wakes it."""
    return change(box, ASLEEP, WAKING)


@kernel()
def serve(box, asked, before, rounds):
    """Work at the jobs that are put into a box, until there was none for so many looks, or the
    number at ``asked`` is not ``before``."""
    change(box, ASLEEP, READY)
    look = 0
    while True:
        state = load_after_pause(box)
        if state == GIVEN and change(box, GIVEN, BUSY):
            thunk, job = load(box + THUNK), load(box + JOB)
            while take_chunk(thunk, job):
                pass
            store(box + JOB, 0)
            store(box, READY)
            add(job + DONE, 1)  # from here on, the job may be gone
            look = 0
        elif state == WAKING:
            change(box, WAKING, READY)
        elif look < rounds and load(asked) == before:
            look += 1
        elif change(box, READY, ASLEEP):
            return


class Known(NamedTuple):
    """What is known of a kernel."""

    table: Array
    """Pairs of a thunk and an address, and zeros behind them. Without an address, the kernel is not
    called by one."""
    single: int
    """Arguments that are given one by one; the rest is a tuple. -1: there is no rest."""


_known: dict[Any, Known] = {}


def shared(
    kernel_: Any, units: int, chunks: int, boxes: int, count: int, args: tuple[Any, ...]
) -> int:
    """Do all chunks of a compiled kernel, and say how many helpers did some; -1: nothing was done,
    as it returns something, or is called with too many types of arguments."""
    known = _known.get(kernel_)
    if known is None:
        code = kernel_.py_func.__code__
        rest = code.co_flags & inspect.CO_VARARGS
        pairs = np.zeros(2 * MOST_SIGNATURES + 2, np.int64)
        known = _known[kernel_] = Known(pairs, code.co_argcount - 2 if rest else -1)
    given = args
    if known.single >= 0:
        given = (*args[: known.single], args[known.single :])
    job = np.zeros(JOB_NUMBERS, np.int64)
    job[CHUNKS // 8], job[UNITS // 8] = chunks, units
    at, table = address_of(job), address_of(known.table)
    helped: int = share(at, table, boxes, count, *given)
    if helped == UNKNOWN:
        _learn(kernel_, known.table, int(job[KERNEL // 8]), given)
        helped = share(at, table, boxes, count, *given)
    if job[FAILED // 8]:
        kernel_(0, units, *args)  # which fails as it did, and says how
    return max(helped, -1)


def _learn(kernel_: Any, table: Array, thunk: int, given: tuple[Any, ...]) -> None:
    """Have the table know the address of a kernel for arguments like these, or that there is none.
    One thread at a time: a thunk beside the address of another one's kernel would call it with
    arguments that it does not take."""
    kinds = tuple(map(kernel_.typeof_pyval, (0, 0, *given)))
    kernel_.compile(kinds)
    compiled, address = kernel_.overloads[kinds], 0
    if compiled.signature.return_type == types.none:
        name = compiled.fndesc.llvm_func_name
        address = compiled.library.get_pointer_to_function(name)
    with _lock:
        free = np.flatnonzero(table[::2] == 0)
        if thunk not in table[::2] and len(free) > 1:  # zeros are the end
            put(address_of(table) + 16 * int(free[0]), thunk, address)


_lock = threading.Lock()


def _new_lock() -> None:
    """In a forked child, whose parent's threads may have held it."""
    global _lock
    _lock = threading.Lock()


forks.in_child(_new_lock)

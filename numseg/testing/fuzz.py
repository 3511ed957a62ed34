"""Calls that nobody thought of, of every operator, with forbidden memory around every array.

    python -m numseg.testing.fuzz                              # ten thousand calls
    python -m numseg.testing.fuzz --calls 120000 --seed 7 conv2d roi_align
    python -m numseg.testing.fuzz --seed 7 --only 1234         # one of them again, and what it was

A call is one of the operator's own cases, with numbers of any kind, in any layout, and with one
argument changed to something that nobody meant. It is right if it is refused by an error of
numseg's own, in one line, or if value and gradients have the same bits for one, two and three
threads; and if no warning comes out, no byte beyond an array is touched, and it comes back.

Each runs in a process that may die, and is known by its number: a finding can be had again.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from numseg.errors import ArgumentError, shown
from numseg.files import optional
from numseg.kernels.machine.threads import num_threads
from numseg.operator import Operator
from numseg.ops.registry import OPERATORS
from numseg.testing import cases, contract
from numseg.testing.guarded import Guard, guard, possible
from numseg.testing.isolated import Isolated, Lost

KINDS = "integers", "reals", "special"
MOST = 100_000
"""Numbers of a result, so that a call takes no time to speak of."""

TIMEOUT = 300.0
"""Seconds that a call may take, what is compiled for it included."""

STRANGE: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2, 3, 1009, 2**31, 2**63, 10**400, 0.5, -0.0, math.nan, math.inf),
    *("", "same", "none", b"same", (), (1,), (0, 1), [2, 2], (1, 2, 3, 4), [None], {}, {1: 2}),
    *(np.float32(0.5), np.int64(2), np.array(2), np.zeros(2), np.zeros((1, 1, 2, 2), np.float32)),
    *(object(), int, range(3), 1j, ...),
)
"""What an argument may be that nobody meant."""

Op = Operator[..., Any]


def call(op: Op, rng: np.random.Generator) -> dict[str, Any]:
    """The arguments of one, which the operator may refuse."""
    case = _drawn(op)[rng.integers(len(_drawn(op)))]
    dtype = (np.float32, np.float64)[rng.integers(2)]
    arguments = case.arguments(str(rng.choice(KINDS)), dtype, rng)
    layouts = list(contract.LAYOUTS.values())
    chance = rng.random()
    if chance < 0.3:
        name = str(rng.choice(list(arguments)))
        arguments[name] = STRANGE[rng.integers(len(STRANGE))]
    elif chance < 0.5:
        name = str(rng.choice(op.inputs))
        arguments[name] = contract._map(_bent(rng), arguments.get(name))
    else:
        arguments = contract._map_arrays(op, layouts[rng.integers(len(layouts))], arguments)
    return arguments


_cases: dict[str, list[cases.Case]] = {}


def _drawn(op: Op) -> list[cases.Case]:
    if op.__name__ not in _cases:
        _cases[op.__name__] = cases.drawn(op, 200)
    return _cases[op.__name__]


def _bent(rng: np.random.Generator) -> Callable[[Any], Any]:
    """A change of an array's shape or dtype."""
    types = np.float16, np.float64, np.int32, np.uint8, bool, complex, object
    return [
        lambda a: a[None],
        lambda a: a[:0] if a.ndim else a[None],
        lambda a: a[..., :1] if a.ndim else a,
        lambda a: a.reshape(-1),
        lambda a: np.concatenate([a, a], 0) if a.ndim else a,
        lambda a: a.astype(types[rng.integers(len(types))]),
        lambda a: np.broadcast_to(a, (2, *a.shape)),
    ][rng.integers(7)]


def finding(op: Op, number: int, seed: int, guarded: bool = True) -> str | None:
    """What is wrong with the call of this number, or None."""
    how = Guard(end=number % 2 == 0) if guarded and possible() else None
    try:
        with np.errstate(all="warn"), guard(how), warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("ignore")
            arguments = call(op, np.random.default_rng([seed, number]))
            warnings.simplefilter("always")  # as errors they would meet the guards' own calls
            said = _wrong(op, arguments, seed)
    except ArgumentError as error:
        own = str(error).startswith(op.__name__) and "\n" not in str(error)
        said = None if own else f"is refused by {error!r}"
    except SystemError as error:
        # an array that goes while an error is on its way: guards, called then, lose the error
        return finding(op, number, seed, guarded=False) if how else f"raises {error!r}"
    except Exception as error:
        return f"raises {error!r}"
    return f"warns: {heard[0].message}" if heard and said is None else said


def _wrong(op: Op, arguments: dict[str, Any], seed: int) -> str | None:
    if any(spec.size > MOST for spec in op.plan(**arguments).outputs):
        return None
    one, two, three = (_bits(op, arguments, threads, seed) for threads in (1, 2, 3))
    return None if one == two == three else "has other bits for another number of threads"


def _bits(op: Op, arguments: dict[str, Any], threads: int, seed: int) -> list[bytes]:
    with num_threads(threads):
        y, saved = op.forward(**arguments)
        results = contract.arrays(y if isinstance(y, tuple) else [y])
        if op.differentiable:
            first = results[0]
            rng = np.random.default_rng(seed)
            grad_y = rng.integers(-3, 4, first.shape).astype(first.dtype)
            results += contract.arrays(op.backward(saved, grad_y))
    return [array.tobytes() for array in results]


def findings(
    ops: Sequence[Op], calls: int, seed: int, progress: Callable[[Any], Any] = iter
) -> Iterator[tuple[int, Op, str]]:
    """The number, the operator and the fault of every call that is not right."""

    def do(number: int) -> str | None:
        return finding(ops[number % len(ops)], number, seed)

    run = Isolated(do, TIMEOUT) if Isolated.possible() else None
    with contextlib.closing(run) if run else contextlib.nullcontext():
        for number in progress(range(calls)):
            try:
                said = run(number) if run else do(number)
            except Lost as error:
                said = str(error)
            if said is not None:
                yield number, ops[number % len(ops)], said


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m numseg.testing.fuzz",
        description="Call operators as nobody would; exit code 1 if one of the calls is not right.",
    )
    parser.add_argument("operators", nargs="*", metavar="operator", help="all of them by default")
    parser.add_argument("--calls", type=int, default=10_000, help="how many (default 10000)")
    parser.add_argument("--seed", type=int, default=0, help="of the calls (default 0)")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="this call alone, in here")
    args = parser.parse_args(argv)
    unknown = [name for name in args.operators if name not in OPERATORS]
    if unknown:
        parser.error(f"numseg has no operator {unknown[0]}")
    ops = [OPERATORS[name] for name in args.operators or OPERATORS]
    if args.only is not None:
        op = ops[args.only % len(ops)]
        arguments = call(op, np.random.default_rng([args.seed, args.only]))
        print(
            op.__name__,
            *(f"  {name} = {shown(value)}" for name, value in arguments.items()),
            sep="\n",
        )
        print(finding(op, args.only, args.seed) or "is right")
        return 0
    tqdm = optional("tqdm", "tqdm", "train", "a progress bar").tqdm if sys.stderr.isatty() else iter
    count = 0
    for number, op, said in findings(ops, args.calls, args.seed, tqdm):
        count += 1
        print(f"{number}: {op.__name__} {said}", flush=True)
    print(f"{args.calls} calls of {len(ops)} operators: {count} not right")
    return int(count > 0)


if __name__ == "__main__":
    raise SystemExit(main())

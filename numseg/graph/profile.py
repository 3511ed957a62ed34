"""Where a network's time goes: a table of its nodes."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from numseg.graph.fuse import parts
from numseg.graph.network import Network
from numseg.graph.node import Node
from numseg.graph.summary import table
from numseg.plan import Cost, Plan

if TYPE_CHECKING:
    from numseg.kernels.machine.limits import Limits


class Timing(NamedTuple):
    """One node, or several that run as one."""

    node: str
    operator: str
    milliseconds: float
    cost: Cost


@dataclasses.dataclass(frozen=True)
class Profile:
    """Medians over some runs. ``str(profile)`` is made to be read."""

    timings: tuple[Timing, ...]
    runs: int
    limits: Limits
    """What the machine can do at most, measured just before."""

    @property
    def milliseconds(self) -> float:
        """Of all nodes together."""
        return sum(timing.milliseconds for timing in self.timings)

    def share(self, timing: Timing) -> float:
        """How near the node came to the nearer of the machine's limits."""
        return self.limits.share(*timing.cost, timing.milliseconds)

    def __str__(self) -> str:
        head = ("node", "operator", "ms", "share", "GFLOP/s", "of limit")
        lines = [
            (
                t.node,
                t.operator,
                f"{t.milliseconds:.3f}",
                f"{t.milliseconds / self.milliseconds:.1%}",
                f"{t.cost.flops / t.milliseconds / 1e6:.1f}",
                f"{self.share(t):.0%}",
            )
            for t in self.timings
        ]
        flops = sum(t.cost.flops for t in self.timings) / self.milliseconds / 1e6
        total = f"{self.milliseconds:.3f} ms in all nodes, {flops:.1f} GFLOP/s; medians of "
        total += f"{self.runs} run{'s' if self.runs > 1 else ''}"
        limits = ", ".join(f"{name} {value:.0f}" for name, value in self.limits._asdict().items())
        return table(head, lines, 2, total, f"limits: {limits}")


def profile(
    fused: Network,
    plans: Mapping[str, Plan[Any]],
    runs: int,
    run: Callable[[Callable[[Node], None]], Any],
) -> Profile:
    """Time every node of an inference, which ``run`` tells of each node that has run."""
    from numseg.kernels.machine.limits import measure

    nodes = fused.nodes
    times: dict[str, list[float]] = {node.name: [] for node in nodes}
    for number in range(1 + runs):
        for found in times.values():
            found.append(0.0)
        clock = [time.perf_counter()]

        def done(node: Node, clock: list[float] = clock, number: int = number) -> None:
            clock.append(time.perf_counter())
            times[node.name][number] += 1e3 * (clock[-1] - clock[-2])

        run(done)
    timings = (
        Timing(
            " + ".join(part.name for part in parts(node)),
            node.operator.__name__,
            statistics.median(times[node.name][1:]),  # the first run compiles and warms up
            cost_of([plans[part.name] for part in parts(node)]),
        )
        for node in nodes
    )
    return Profile(tuple(timings), runs, measure())


def cost_of(plans: Sequence[Plan[Any]]) -> Cost:
    """Of nodes that run as one: what one hands on to the next is neither written nor read."""
    flops, size = (sum(numbers) for numbers in zip(*(plan.cost for plan in plans), strict=True))
    return Cost(flops, size - 2 * sum(plan.outputs[0].nbytes for plan in plans[:-1]))

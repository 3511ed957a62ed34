"""Non-maximum suppression: boxes in the order of their scores, each against all after it."""

from __future__ import annotations

from numseg.kernels.machine.jit import kernel


@kernel()
def suppress(start, stop, corners, area, group, left, one, threshold, inclusive, zero, dead):
    """``dead[i]`` becomes 1 for a box that overlaps an earlier one of its group that is not, or
    that comes after as many as its group may keep (``left``). One thread: each depends on those
    before it."""
    x1, y1, x2, y2 = corners
    for i in range(start, stop):
        if dead[i]:
            continue
        if left[group[i]] == 0:
            dead[i] = 1
            continue
        left[group[i]] -= 1
        ax, ay, bx, by, here, mine = x1[i], y1[i], x2[i], y2[i], area[i], group[i]
        x1_, y1_, x2_, y2_ = x1[i + 1 :], y1[i + 1 :], x2[i + 1 :], y2[i + 1 :]
        areas, groups, killed = area[i + 1 :], group[i + 1 :], dead[i + 1 :]
        for j in range(len(killed)):
            w = max(min(bx, x2_[j]) - max(ax, x1_[j]) + one, one - one)
            h = max(min(by, y2_[j]) - max(ay, y1_[j]) + one, one - one)
            inter = w * h
            union = here + areas[j] - inter
            share = inter if union == 0 and zero else inter / union
            over = share >= threshold if inclusive else share > threshold
            killed[j] |= over & (groups[j] == mine)

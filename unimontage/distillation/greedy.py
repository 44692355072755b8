"""The plain greedy loop on the few windows that could be next, laid out for many distances at once."""

import numpy as np
from numba import njit

LANES = 64  # windows side by side: their sums run in step, each in its own order


@njit(cache=True)
def greedy_picks(latents, windows, bound, seen, group, room, threshold, count, chosen, squared):
    """Choose the farthest window until none is above the threshold, in place.

    Parameters
    ----------
    latents : ndarray of float32, shape (N, d)
    windows : ndarray of int64, shape (n,)
        Positions above the threshold, ascending; their bounds are exact.
    bound, seen : ndarray, shape (N,)
        Smallest squared distance to the centres seen, and how many those were. -1: chosen, or its group is full.
    group, room : ndarray of int64, shapes (N,), (G,)
        Group of every window; how many of each may still be chosen.
    threshold : float32
    count : int
        Centres so far.
    chosen, squared : ndarray, shape (target,)
        Positions of the centres and their squared distances to those before them.

    Returns
    -------
    int
        Centres now.
    """
    columns, value = _columns(latents, windows, bound)
    top = np.empty(len(value), dtype=np.float32)  # largest value of each block
    for b in range(len(value)):
        top[b] = value[b].max()
    stamp = np.full(len(value), np.int32(count))
    while count < len(chosen) and len(windows):
        b = top.argmax()
        if top[b] <= threshold:
            break
        lane = value[b].argmax()
        i = windows[b * LANES + lane]
        chosen[count], squared[count] = i, value[b, lane]
        value[b, lane] = -1
        room[group[i]] -= 1
        if room[group[i]] == 0:
            for other in range(len(windows)):
                if group[windows[other]] == group[i]:
                    value[other // LANES, other % LANES] = -1
        count += 1
        for b in range(len(value)):
            if top[b] > threshold:  # no window of the other blocks can be next
                top[b] = _update(columns[b], latents[i], value[b])
                stamp[b] = count
    for w in range(len(windows)):
        bound[windows[w]], seen[windows[w]] = value[w // LANES, w % LANES], stamp[w // LANES]
    return count


@njit(cache=True)
def fill(bound, group, room, count, chosen, squared):
    """Choose the first windows that may be chosen, in order, at distance zero; the number of centres then."""
    for i in range(len(bound)):
        if count < len(chosen) and bound[i] >= 0 and room[group[i]] > 0:
            chosen[count], squared[count] = i, 0
            room[group[i]] -= 1
            count += 1
    return count


@njit(cache=True)
def _columns(latents, windows, bound):
    """Blocks (B, d, LANES) of latents and (B, LANES) of bounds; -1 where the last block has no window."""
    blocks = (len(windows) + LANES - 1) // LANES
    columns = np.zeros((blocks, latents.shape[1], LANES), dtype=np.float32)
    value = np.full((blocks, LANES), np.float32(-1))
    for w in range(len(windows)):
        value[w // LANES, w % LANES] = bound[windows[w]]
        for t in range(latents.shape[1]):
            columns[w // LANES, t, w % LANES] = latents[windows[w], t]
    return columns, value


@njit(cache=True)
def _update(columns, centre, value):
    """Lower the values of a block (d, LANES) to its squared distances to a centre; the largest of them."""
    total = np.zeros(LANES, dtype=np.float32)
    for t in range(columns.shape[0]):
        c = centre[t]
        for lane in range(LANES):
            difference = columns[t, lane] - c
            total[lane] += difference * difference
    top = np.float32(-1)
    for lane in range(LANES):
        value[lane] = min(value[lane], total[lane])
        top = max(top, value[lane])
    return top

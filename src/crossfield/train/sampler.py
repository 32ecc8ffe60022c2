"""Which frames make up each batch: a pure function of seed and epoch, so that a run can resume anywhere.

Every head has an endless stream of its frames: one random permutation after the other. An epoch takes the
next stretch of each stream, of a length fixed by the head's share, and spreads it evenly over the epoch, so
that every batch mixes the heads in their shares. No frame is drawn twice before all of its head were drawn
once, and none is dropped.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from crossfield.errors import InputError, nearest
from crossfield.train.sections import SamplingConfig

MIX, PERMUTE = 0, 1  # what a random stream is for


class Sampler:
    """Batches of frames.

    Args:
        heads: head index of every frame; one without frames is never drawn.
        shares: fraction of the frames drawn from each head; they sum to 1, 0 for heads without frames.
        batch_size: frames per batch; the last one of an epoch may be smaller.
        seed: another seed draws in another order.
        steps: batches per epoch; None: enough for as many draws as there are frames.
    """

    def __init__(
        self,
        heads: Sequence[int],
        shares: Sequence[float],
        *,
        batch_size: int,
        seed: int,
        steps: int | None = None,
    ) -> None:
        of_head = np.asarray(heads, dtype=np.int64)
        self._members = [np.flatnonzero(of_head == h) for h in range(len(shares))]
        self._batch_size, self._seed = batch_size, seed
        draws = len(of_head) if steps is None else steps * batch_size
        self.draws = _allot(draws, np.asarray(shares, dtype=float))
        self.steps = -(-int(self.draws.sum()) // batch_size)

    def epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        """Frame indices of each batch of an epoch (from 0)."""
        random = np.random.default_rng([self._seed, MIX, epoch])
        frames = [self._stretch(h, epoch) for h in range(len(self.draws))]
        # stratified: the i-th of n draws of a head falls at random into the i-th of n parts of the epoch
        places = [(np.arange(len(f)) + random.random(len(f))) / max(len(f), 1) for f in frames]
        order = np.argsort(np.concatenate(places), kind="stable")
        drawn = np.concatenate(frames)[order]
        return [drawn[k : k + self._batch_size] for k in range(0, len(drawn), self._batch_size)]

    def _stretch(self, head: int, epoch: int) -> NDArray[np.int64]:
        """The part of a head's stream that belongs to an epoch."""
        members, count = self._members[head], int(self.draws[head])
        if not count:
            return members[:0]
        begin, end = epoch * count, (epoch + 1) * count
        rounds = range(begin // len(members), -(-end // len(members)))
        stream = [np.random.default_rng([self._seed, PERMUTE, head, k]).permutation(members) for k in rounds]
        first = rounds[0] * len(members)
        return np.concatenate(stream)[begin - first : end - first]


def head_shares(
    config: SamplingConfig, counts: dict[str, int], replayed: Collection[str] = ()
) -> list[float]:
    """Share of each head.

    Args:
        config: kind of sampling.
        counts: number of training frames of each head, in order; those without any have no share.
        replayed: names of the heads that are replayed, which share what "balanced" leaves them.

    Raises:
        InputError: ratios name an unknown head or leave one out.
    """
    size = np.array(list(counts.values()), dtype=float)
    old = np.array([name in replayed for name in counts]) & (size > 0)
    new = ~old & (size > 0)
    if config.kind == "ratios":
        ratios = _ratios(config.ratios, [name for name, n in counts.items() if n])
        share = np.array([ratios.get(name, 0.0) for name in counts])
    elif config.kind == "uniform":
        share = (size > 0).astype(float)
    elif config.kind == "proportional":
        share = size
    else:
        share = size ** (1.0 / config.temperature)
        if config.kind == "balanced" and old.any() and new.any():
            share[old] *= (1.0 - config.new) / share[old].sum()
            share[new] *= config.new / share[new].sum()
    return [float(x) for x in share / share.sum()]


def _ratios(ratios: dict[str, float], heads: list[str]) -> dict[str, float]:
    for name in ratios:
        if name not in heads:
            raise InputError(
                f"sampling.ratios: unknown head {name!r}{nearest(name, heads)} (with frames: "
                f"{', '.join(heads)})"
            )
    missing = [name for name in heads if name not in ratios]
    if missing:
        raise InputError(f"sampling.ratios has no ratio for {', '.join(missing)}")
    return ratios


def _allot(total: int, shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole numbers in proportion to the shares, that sum to the total; at least one for any share."""
    exact = total * shares
    counts = np.maximum(np.floor(exact + 1e-9), shares > 0).astype(np.int64)
    left = total - int(counts.sum())
    if left > 0:
        largest = np.argsort(-(exact - counts), kind="stable")[:left]
        counts[largest] += 1
    return counts

"""The order in which structures are looked at and drawn: it follows from them and a seed, not from a file."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crossfield.data.frame import Frame
from crossfield.data.parse import reduced_formula
from crossfield.replay.fingerprint import structure_digest


class Candidate(NamedTuple):
    """A structure that may be chosen."""

    position: int  # in the sequence given
    digest: str  # of the structure
    ticket: bytes  # those with the lowest are drawn


def candidates(frames: Sequence[Frame], positions: Sequence[int], seed: int) -> list[Candidate]:
    """Structures at these positions in an order of their own, with a ticket each.

    Equal structures get different tickets, or they would be drawn together.
    """
    digests = {k: structure_digest(frames[k]) for k in positions}
    copies: Counter[str] = Counter()
    found = []
    for k in sorted(positions, key=lambda k: (digests[k], frames[k].file, frames[k].index, k)):
        digest = digests[k]
        ticket = hashlib.sha256(f"{seed} {digest} {copies[digest]}".encode()).digest()
        copies[digest] += 1
        found.append(Candidate(k, digest, ticket))
    return found


def draw(pool: Sequence[Candidate], count: int) -> list[Candidate]:
    """So many of them with equal chances."""
    return sorted(pool, key=lambda c: c.ticket)[:count]


def strata(frames: Sequence[Frame], pool: Sequence[Candidate]) -> dict[str, list[Candidate]]:
    """Candidates by reduced composition, and by their number of atoms in powers of two."""
    found: dict[str, list[Candidate]] = {}
    for candidate in pool:
        frame = frames[candidate.position]
        name = f"{reduced_formula(frame.Z)}, from {1 << (frame.num_atoms.bit_length() - 1)} atoms"
        found.setdefault(name, []).append(candidate)
    return found


def draw_stratified(groups: Mapping[str, Sequence[Candidate]], count: int, seed: int) -> list[Candidate]:
    """Draw from each stratum in proportion to the root of its size.

    Each gives at least one structure, and none more than it has. Where there are more strata than structures
    to draw, some of them give one each, and all strata have the same chance.
    """
    names = sorted(groups, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    if count <= len(names):
        return [draw(groups[name], 1)[0] for name in names[:count]]
    numbers = shares([len(groups[name]) for name in names], count)
    return [c for name, number in zip(names, numbers, strict=True) for c in draw(groups[name], number)]


def shares(sizes: Sequence[int], count: int) -> list[int]:
    """How many each stratum gives: about in proportion to the root of its size, at least 1, at most its size.

    Args:
        sizes: numbers of structures, each at least 1.
        count: how many are wanted, from the number of strata to the sum of sizes.
    """
    most = np.array(sizes, dtype=np.float64)

    def given(factor: float) -> NDArray[np.float64]:
        return np.clip(factor * np.sqrt(most), 1.0, most)

    low, high = 0.0, float(np.sqrt(most.max()))  # nothing, and everything
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if given(middle).sum() <= count else (low, middle)
    exact = given(low)
    numbers = np.floor(exact + 1e-9).astype(int)
    # what rounding down leaves goes to the largest remainders, of equal ones to the first
    largest = np.argsort(-(exact - numbers), kind="stable")
    room = [k for k in largest if numbers[k] < sizes[k]]
    numbers[room[: count - int(numbers.sum())]] += 1
    return [int(n) for n in numbers]

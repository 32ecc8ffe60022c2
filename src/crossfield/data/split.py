"""Training, validation and test sets of whole groups."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from crossfield.data.frame import Frame
from crossfield.errors import InputError

ENOUGH = 2  # training groups in which an element stays, where the data allow


@dataclass(frozen=True)
class Split:
    """Three sets that share no group; every element of the last two is in the first."""

    train: tuple[Frame, ...]
    validation: tuple[Frame, ...]
    test: tuple[Frame, ...]


@dataclass(frozen=True)
class _Group:
    name: str
    frames: tuple[int, ...]  # positions in the sequence of all frames
    elements: frozenset[int]


def split_frames(
    frames: Sequence[Frame],
    *,
    validation: float,
    test: float,
    seed: int,
    by: Literal["group", "frame"] = "group",
) -> Split:
    """Set whole groups aside for validation and test.

    The order in which groups are tried follows from the seed and their names alone, so that neither the order
    of frames nor other heads matter. A group is only set aside while each of its elements stays in two groups
    of the training set (in one, where that is all the data allow): an element first met in a test cannot have
    been learnt, and from a single compound it cannot be told from its partners. Sizes are as near to the
    fractions as whole groups allow, and a fraction above 0 gets at least one group.

    Args:
        frames: frames of one head.
        validation: fraction of the frames, 0 to 1.
        test: fraction of the frames, 0 to 1.
        seed: another seed gives another split.
        by: "group" keeps `Frame.group` together; "frame" splits between single frames (only equal structures
            stay together), which flatters the scores where frames are snapshots of one system.

    Returns:
        The sets, each in the order of `frames`.

    Raises:
        InputError: no frames, fractions that leave no training set, fewer groups than sets, or no group
            that can be set aside.
    """
    for name, fraction in (("validation", validation), ("test", test)):
        if not 0 <= fraction < 1:
            raise InputError(f"the {name} fraction must be at least 0 and below 1, not {fraction}")
    if validation + test >= 1:
        raise InputError(f"validation {validation} and test {test} leave nothing to train on")
    if not frames:
        raise InputError("there are no frames to split")
    rest = _groups(frames, seed, by)
    wanted = [(name, part) for name, part in (("test", test), ("validation", validation)) if part > 0]
    if len(rest) == 1 and wanted:
        raise InputError(
            f"all {len(frames)} frames are one group ({rest[0].name[:40]}): give groups (keys.group), "
            "a validation file of its own, or split by frame (`split: {by: frame}`)"
        )
    if len(rest) <= len(wanted):
        raise InputError(
            f"{len(rest)} groups cannot make {len(wanted) + 1} sets: set one of the fractions to 0"
        )
    chosen: dict[str, list[_Group]] = {"test": [], "validation": []}
    for later, (name, part) in zip(range(len(wanted), 0, -1), wanted, strict=True):
        chosen[name] = _set_aside(rest, part * len(frames), name, leave=later)
        rest = [group for group in rest if group not in chosen[name]]
    return Split(
        train=_frames_of(rest, frames),
        validation=_frames_of(chosen["validation"], frames),
        test=_frames_of(chosen["test"], frames),
    )


def _groups(frames: Sequence[Frame], seed: int, by: str) -> list[_Group]:
    members: dict[str, list[int]] = {}
    for k, frame in enumerate(frames):
        members.setdefault(frame.group if by == "group" else _fingerprint(frame), []).append(k)
    groups = [
        _Group(name, tuple(rows), frozenset(int(z) for k in rows for z in frames[k].Z))
        for name, rows in members.items()
    ]
    # Python's own hash changes from run to run
    return sorted(groups, key=lambda g: hashlib.sha256(f"{seed}:{g.name}".encode()).digest())


def _fingerprint(frame: Frame) -> str:
    parts = [frame.Z, frame.positions, frame.cell, frame.pbc, np.array([frame.charge, frame.spin])]
    if frame.inputs:
        parts.append(np.array([frame.inputs[name] for name in sorted(frame.inputs)]))
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def _set_aside(groups: Sequence[_Group], target: float, name: str, *, leave: int) -> list[_Group]:
    """Groups, in their order, that bring the number of frames nearer to the target; `leave` groups stay."""
    holders = Counter(z for group in groups for z in group.elements)
    chosen: list[_Group] = []
    size = 0
    for group in groups:
        nearer = abs(size + len(group.frames) - target) < abs(size - target)
        if nearer and len(groups) - len(chosen) > leave and _spare(group, holders, ENOUGH):
            chosen.append(group)
            size += len(group.frames)
            holders.subtract(group.elements)
    if chosen:
        return chosen
    # groups larger than twice the target, or elements in few groups: the smallest that can be spared at all
    spare = [group for group in groups if _spare(group, holders, ENOUGH)]
    spare = spare or [group for group in groups if _spare(group, holders, 1)]
    if not spare:
        raise InputError(
            f"no group can be set aside for {name}: each has an element that no other group has; "
            f"give a file of its own, set {name} to 0, or split by frame"
        )
    return [min(spare, key=lambda group: len(group.frames))]


def _spare(group: _Group, holders: Counter[int], keep: int) -> bool:
    """Whether every element of the group remains in `keep` others."""
    return all(holders[z] > keep for z in group.elements)


def _frames_of(groups: Sequence[_Group], frames: Sequence[Frame]) -> tuple[Frame, ...]:
    return tuple(frames[k] for k in sorted(k for group in groups for k in group.frames))

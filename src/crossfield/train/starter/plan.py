"""The numbers of a first configuration, each by a rule that can be told in a line.

| number | rule |
| --- | --- |
| batch size | as many structures as have 256 atoms together, a power of two from 2 to 16 |
| steps | every new frame is drawn 200 times, within 2,000 to 20,000 steps |
| epochs | the steps over those of one pass through all frames; 20 shorter ones where a pass is long |
| split | by system; by frame where systems are too few for that |
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crossfield.data.frame import Frame
from crossfield.data.split import Split, split_frames
from crossfield.errors import InputError
from crossfield.train.sections import SamplingConfig, SplitConfig

ATOMS_PER_STEP = 256
BATCH_SIZES = (2, 4, 8, 16)
DRAWS = 200  # of each new frame
STEPS = (2_000, 20_000)
VALIDATIONS = 10  # that a run should have at least, so that there is a choice of best weights
LARGEST_PART = 0.4  # of the frames that may go to validation and test together


@dataclass(frozen=True)
class Length:
    """How long to train."""

    batch_size: int
    epochs: int
    steps_per_epoch: int | None  # None: one pass over all frames
    steps: int  # in all, about
    draws: float  # of each new frame, about


@dataclass(frozen=True)
class Parts:
    """How the frames of a head are divided."""

    split: Split
    settings: Mapping[str, object]  # for the configuration; empty where the defaults do
    why: str = ""

    @property
    def text(self) -> str:
        """The settings as they are written: "split: {by: frame}"."""
        return f"split: {{{', '.join(f'{key}: {value}' for key, value in self.settings.items())}}}"


def length(mean_atoms: float, new: int, replayed: int) -> Length:
    """Batch size, epochs and steps.

    Args:
        mean_atoms: atoms per structure of the new data.
        new: number of new training frames.
        replayed: number of replayed ones, of all heads.
    """
    fitting = [size for size in BATCH_SIZES if size * mean_atoms <= ATOMS_PER_STEP]
    batch_size = max(fitting, default=BATCH_SIZES[0])
    share = SamplingConfig().new if replayed else 1.0
    steps = min(max(math.ceil(DRAWS * new / (batch_size * share)), STEPS[0]), STEPS[1])
    one_pass = math.ceil((new + replayed) / batch_size)
    steps_per_epoch = None
    epochs = round(steps / one_pass)
    if epochs < VALIDATIONS:
        epochs = 2 * VALIDATIONS
        steps_per_epoch = one_pass = math.ceil(steps / epochs)
    done = epochs * one_pass
    return Length(batch_size, epochs, steps_per_epoch, done, done * batch_size * share / new)


def divide(frames: Sequence[Frame]) -> Parts:
    """Whole systems to validation and test; single frames where systems are too few or too large for that."""
    defaults = SplitConfig()
    groups = len({frame.group for frame in frames})
    try:
        found = _split(frames, defaults)
        if len(found.validation) + len(found.test) <= LARGEST_PART * len(frames):
            return Parts(found, {})
    except InputError:
        pass  # the next way may do
    kinds = "one system" if groups == 1 else f"{groups} systems, too few to keep whole ones aside"
    try:
        settings = SplitConfig(by="frame")
        why = f"all frames are of {kinds}: errors are of known systems"
        return Parts(_split(frames, settings), {"by": "frame"}, why)
    except InputError:
        settings = SplitConfig(validation=0.0, test=0.0)
        why = "too few different frames to keep any aside"
        return Parts(_split(frames, settings), {"validation": 0.0, "test": 0.0}, why)


def _split(frames: Sequence[Frame], settings: SplitConfig) -> Split:
    return split_frames(
        frames, validation=settings.validation, test=settings.test, seed=settings.seed, by=settings.by
    )


def mean_atoms(frames: Sequence[Frame]) -> float:
    """Atoms per structure."""
    return float(np.mean([frame.num_atoms for frame in frames]))

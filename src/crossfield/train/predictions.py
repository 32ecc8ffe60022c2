"""What a trained model says of its frames, beside their labels: kept while its errors are found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from crossfield.data.batch import Batch, GraphDataset
from crossfield.data.frame import Frame
from crossfield.model.derivatives import Prediction
from crossfield.theory import Head
from crossfield.train.head_data import SPLITS
from crossfield.train.metrics import Seen
from crossfield.train.pool import Answer

# force components kept of a head; of more, a sample of frames is kept
MOST: Mapping[str, int] = {"train": 300_000, "validation": 2_000_000, "test": 2_000_000}


class Compared(NamedTuple):
    """Labels and predictions of one property. Both are NaN where there is no label."""

    reference: NDArray[np.float64]
    predicted: NDArray[np.float64]  # NaN beside a label: the model has no answer


@dataclass(frozen=True)
class Predictions:
    """Labels and predictions of F frames with N atoms in all, in the order of splits and heads."""

    heads: tuple[str, ...]
    split: NDArray[np.int64]  # (F,) which of `SPLITS`
    head: NDArray[np.int64]  # (F,) which of the heads
    group: tuple[str, ...]  # (F,) system that a frame belongs to
    file: tuple[str, ...]  # (F,)
    index: NDArray[np.int64]  # (F,) frame number in its file, from 0
    own_answers: NDArray[np.bool_]  # (F,) whether labels are answers of the base
    atoms: NDArray[np.int64]  # (F,) number of atoms
    Z: NDArray[np.int64]  # (N,)
    E0: NDArray[np.float64]  # (F,) eV, sum of the reference energies of the atoms
    energy: Compared  # (F,) eV
    forces: Compared  # (N, 3) eV/Å
    stress: Compared  # (F, 3, 3) eV/Å^3
    frames: Mapping[str, Mapping[str, int]]  # how many there were by split and head, those left out included
    seed: int  # of the sample, where some were left out

    def __len__(self) -> int:
        return len(self.split)

    @property
    def frame_of_atom(self) -> NDArray[np.int64]:
        """(N,) which frame an atom is in."""
        return np.repeat(np.arange(len(self)), self.atoms)

    @property
    def energy_per_atom(self) -> Compared:
        """(F,) eV/atom, relative to E0."""
        return Compared(*((energy - self.E0) / self.atoms for energy in self.energy))

    def chosen(self, split: str, head: str) -> NDArray[np.bool_]:
        """(F,) the frames of one split and head."""
        return (self.split == SPLITS.index(split)) & (self.head == self.heads.index(head))

    def left_out(self, split: str, head: str) -> int:
        """How many frames of a split and head are not among these, because there were very many."""
        return self.frames.get(split, {}).get(head, 0) - int(self.chosen(split, head).sum())

    def name(self, frame: int) -> str:
        """What a frame is called: its system, and where it was read."""
        return f"{self.group[frame]} ({Path(self.file[frame]).name}, frame {self.index[frame]})"


@dataclass
class _Kept:
    """What was seen of the frames that are kept, batch by batch."""

    frames: list[NDArray[np.int64]] = field(default_factory=list)  # their numbers in the data set
    energy: list[NDArray[np.float64]] = field(default_factory=list)
    forces: list[NDArray[np.float64]] = field(default_factory=list)
    stress: list[NDArray[np.float64]] = field(default_factory=list)


class Recorder:
    """Keeps what a model says of data sets while `evaluate_dataset` goes through them.

    Args:
        heads: of the model.
        seed: of the sample, where a head has more frames than are kept.
        most: force components that are kept of a head, by split.
    """

    def __init__(self, heads: Sequence[Head], seed: int, most: Mapping[str, int] = MOST) -> None:
        self._heads, self._seed, self._most = tuple(heads), seed, most
        self._kept: dict[str, tuple[GraphDataset, _Kept]] = {}

    def watch(self, split: str, dataset: GraphDataset) -> Seen:
        """What to hand to `evaluate_dataset` with the frames of a split.

        Args:
            split: "train", "validation" or "test".
            dataset: its frames.
        """
        wanted, kept = self._wanted(split, dataset), _Kept()
        self._kept[split] = dataset, kept

        def seen(rows: range, batch: Batch, prediction: Prediction) -> None:
            here = wanted[rows.start : rows.stop]
            atoms = here[batch.graph.structure.cpu().numpy()]
            kept.frames.append(rows.start + np.flatnonzero(here))
            kept.energy.append(prediction.energy.cpu().numpy()[here])
            kept.forces.append(_or_nan(prediction.forces, batch.labels.forces)[atoms])
            kept.stress.append(_or_nan(prediction.stress, batch.labels.stress)[here])

        return seen

    def _wanted(self, split: str, dataset: GraphDataset) -> NDArray[np.bool_]:
        of_head = np.array(dataset.heads, dtype=np.int64)
        components = np.array([3 * frame.num_atoms for frame in dataset.frames], dtype=np.int64)
        wanted = np.zeros(len(dataset), dtype=bool)
        for k in range(len(self._heads)):
            own = of_head == k
            random = np.random.default_rng([self._seed, SPLITS.index(split), k])
            wanted[own] = sample(components[own], self._most[split], random)
        return wanted

    def predictions(self) -> Predictions:
        """All that was kept."""
        splits = [split for split in SPLITS if split in self._kept]
        kept = [self._kept[split][1] for split in splits]
        frames: list[Frame] = []
        of_split: list[int] = []
        of_head: list[int] = []
        for split in splits:
            dataset, own = self._kept[split]
            for k in (k for rows in own.frames for k in rows.tolist()):
                frames.append(dataset.frames[k])
                of_split.append(SPLITS.index(split))
                of_head.append(dataset.heads[k])
        E0 = [self._heads[k].E0 for k in of_head]
        nothing = np.full((3, 3), np.nan)
        forces = [np.full((f.num_atoms, 3), np.nan) if f.forces is None else f.forces for f in frames]
        return Predictions(
            heads=tuple(head.name for head in self._heads),
            split=np.array(of_split, dtype=np.int64),
            head=np.array(of_head, dtype=np.int64),
            group=tuple(f.group for f in frames),
            file=tuple(f.file for f in frames),
            index=np.array([f.index for f in frames], dtype=np.int64),
            own_answers=np.array([isinstance(f, Answer) for f in frames], dtype=bool),
            atoms=np.array([f.num_atoms for f in frames], dtype=np.int64),
            Z=np.concatenate([np.zeros(0, dtype=np.int64), *(f.Z for f in frames)]),
            E0=np.array([sum(e[Z] for Z in f.Z.tolist()) for e, f in zip(E0, frames)], dtype=np.float64),
            energy=_compared([f.energy for f in frames], [x for k in kept for x in k.energy], ()),
            forces=_compared(
                np.concatenate([nothing[:0], *forces]), [x for k in kept for x in k.forces], (3,)
            ),
            stress=_compared(
                [nothing if f.stress is None else f.stress for f in frames],
                [x for k in kept for x in k.stress],
                (3, 3),
            ),
            frames={
                split: {head.name: dataset.heads.count(k) for k, head in enumerate(self._heads)}
                for split, (dataset, _) in ((split, self._kept[split]) for split in splits)
            },
            seed=self._seed,
        )


def sample(sizes: NDArray[np.int64], most: int, random: np.random.Generator) -> NDArray[np.bool_]:
    """Which of some frames are kept: all if they fit, else as many of them, in random order, as do.

    Args:
        sizes: (frames,) of each.
        most: largest sum of sizes; one frame is kept whatever its size.
        random: gives the order.
    """
    kept = np.ones(len(sizes), dtype=bool)
    if sizes.sum() > most:
        order = random.permutation(len(sizes))
        kept[order] = np.cumsum(sizes[order]) <= most
        kept[order[0]] = True
    return kept


def _or_nan(predicted: torch.Tensor | None, like: torch.Tensor) -> NDArray[np.float64]:
    """A prediction, which is not asked for where a batch has no label."""
    found = torch.full_like(like, torch.nan) if predicted is None else predicted
    return np.asarray(found.cpu().numpy(), dtype=np.float64)


def _compared(
    reference: Sequence[object] | NDArray[np.float64],
    predicted: Sequence[NDArray[np.float64]],
    shape: tuple[int, ...],
) -> Compared:
    known = np.array(reference, dtype=np.float64).reshape(-1, *shape)
    found = np.concatenate([np.zeros((0, *shape)), *predicted])
    return Compared(known, np.where(np.isfinite(known), found, np.nan))

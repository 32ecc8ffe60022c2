"""From frames to labels: batch after batch, part after part, all of them or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch

from crossfield.data.batch import in_parts
from crossfield.data.frame import Frame
from crossfield.data.labels import MAX_FORCE, MAX_STRESS
from crossfield.errors import InputError
from crossfield.graph import collate
from crossfield.inference import Potential, Result
from crossfield.inference.results import split
from crossfield.kernels.backend import use
from crossfield.model.derivatives import evaluate
from crossfield.replay.parts import Label, Parts
from crossfield.replay.structures import check_frame, graph_of, inputs_of
from crossfield.theory import Head

SHARD = 256  # frames whose labels are kept together when labelling is interrupted
MAX_BINDING = 1000.0  # eV/atom after E0; a head that says more knows nothing of the structure


class Interrupted(Exception):
    """Labelling was asked to stop. What is finished is kept, and the next call goes on from there."""

    def __init__(self, done: int, total: int) -> None:
        super().__init__(f"{done} of {total} structures are labelled")
        self.done, self.total = done, total


@dataclass(frozen=True)
class Labelling:
    """One head of a model, asked about frames."""

    potential: Potential
    head: Head
    batch_size: int | None  # no more structures at once than that; None: as many as fit
    advance: Callable[[int], None] | None = None  # is told how many more frames are done
    stop: Callable[[], bool] | None = None  # is asked before every batch whether to stop

    def label(self, frames: Sequence[Frame], parts: Parts) -> tuple[Frame, ...]:
        """The frames with labels, computed or taken from finished parts.

        Raises:
            InputError: a frame that cannot be labelled, naming it; nothing is kept then.
            Interrupted: stopped between two batches; finished parts are kept.
        """
        labels: list[Label] = []
        use(self.potential.model, self.potential.backend)  # another potential may have set it otherwise
        try:
            for frame in frames:  # most of what can be wrong is found before the work begins
                check_frame(frame, self.potential.model, self.head)
            with _deterministic(self.potential.model.device):
                for number, start in enumerate(range(0, len(frames), SHARD)):
                    shard = frames[start : start + SHARD]
                    finished = parts.read(number, shard)
                    if finished is None:
                        finished = self._shard(shard, start, len(frames))
                        parts.write(number, finished)
                    else:
                        self._tell(len(shard))
                    labels += finished
        except InputError:
            parts.discard()
            raise
        return tuple(self._labelled(frame, label) for frame, label in zip(frames, labels, strict=True))

    def _shard(self, frames: Sequence[Frame], done: int, total: int) -> list[Label]:
        found: list[Label] = []
        for batch in in_parts(frames, self.batch_size):
            if self.stop is not None and self.stop():
                raise Interrupted(done, total)
            results = self._evaluated(batch)
            found += [self._checked(frame, result) for frame, result in zip(batch, results, strict=True)]
            self._tell(len(batch))
        return found

    def _evaluated(self, frames: Sequence[Frame]) -> list[Result]:
        """What the model says: computed as in training, which begins from there."""
        model = self.potential.model
        graphs = [graph_of(frame, model, self.head) for frame in frames]
        results: list[Result] = []
        for some in self.potential.in_batches(graphs):
            graph = collate(some).to(model.device)
            results += split(evaluate(model, graph), graph, self.head.name)
        return results

    def _tell(self, count: int) -> None:
        if self.advance is not None:
            self.advance(count)

    def _checked(self, frame: Frame, result: Result) -> Label:
        """The label of a frame.

        Raises:
            InputError: it is not finite, or absurd; naming file and frame.
        """
        assert result.forces is not None
        try:
            _check_energy(frame, result.energy, self.head)
            largest = float(np.linalg.norm(result.forces, axis=1).max())
            if not largest <= MAX_FORCE:
                raise InputError(f"the model's largest force is {largest:.3g} eV/Å")
            if result.stress is not None and not np.abs(result.stress).max() <= MAX_STRESS:
                raise InputError(f"the model's largest stress is {np.abs(result.stress).max():.3g} eV/Å^3")
        except InputError as error:
            reason = f"head {self.head.name!r} cannot label this structure: {error.message}; leave it out"
            raise InputError(reason, file=frame.file, frame=frame.index) from error
        return Label(result.energy, result.forces, result.stress)

    def _labelled(self, frame: Frame, label: Label) -> Frame:
        return replace(
            frame,
            theory=self.head.theory.name,
            energy=label.energy,
            forces=label.forces,
            stress=label.stress,
            inputs=inputs_of(frame, self.potential.model, self.head),
        )


def _check_energy(frame: Frame, energy: float, head: Head) -> None:
    binding = (energy - sum(head.E0[int(Z)] for Z in frame.Z)) / frame.num_atoms
    if not abs(binding) <= MAX_BINDING:
        raise InputError(f"the model's energy is {binding:.3g} eV/atom off the reference energies")


@contextmanager
def _deterministic(device: torch.device) -> Iterator[None]:
    """On the processor, sums have a fixed order inside; how torch computes is as before after it."""
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(device.type == "cpu" or before, warn_only=warn_only)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)

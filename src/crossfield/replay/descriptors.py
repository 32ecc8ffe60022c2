"""What tells structures apart: the mean and the spread of what a model sees around their atoms."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossfield.data.batch import in_parts
from crossfield.data.frame import Frame
from crossfield.graph import Graph, collate
from crossfield.inference import Potential
from crossfield.kernels.backend import use
from crossfield.replay.structures import graph_of
from crossfield.theory import Head


def describe(
    potential: Potential,
    frames: Sequence[Frame],
    *,
    head: str | None = None,
    advance: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """Features of structures: of all layers, the invariants of the atoms, their mean and standard deviation.

    Args:
        potential: the model.
        frames: structures.
        head: whose theory says what a charge or spin means, and stands in for numbers that are not stated;
            None: the potential's default or only one.
        advance: is told how many more structures are done.

    Returns:
        (len(frames), 2 D) with D channels of all layers in their order.

    Raises:
        InputError: a structure that the model cannot read, naming file and frame.
    """
    model, chosen = potential.model, potential.theory_head(head)
    use(model, potential.backend)  # another potential may have set it otherwise
    width = 2 * model.config.layers * model.config.channels
    found = np.empty((len(frames), width), dtype=np.float32)
    done = 0
    for part in in_parts(frames):
        graphs = [_graph(frame, potential, chosen) for frame in part]
        for some in potential.in_batches(graphs):
            found[done : done + len(some)] = _moments(potential, some)
            done += len(some)
        if advance is not None:
            advance(len(part))
    return found


def _graph(frame: Frame, potential: Potential, head: Head) -> Graph:
    return graph_of(frame, potential.model, head, elements=potential.elements, what="the model")


@torch.no_grad()
def _moments(potential: Potential, graphs: Sequence[Graph]) -> NDArray[np.float32]:
    """Mean and standard deviation over the atoms of each structure."""
    batch = collate(graphs).to(potential.model.device)
    layers = potential.model(batch, batch.vectors(), curved=False).features
    scalars = torch.cat([layer[0].squeeze(1) for layer in layers], dim=1).double()  # (N, D)
    atoms = torch.bincount(batch.structure, minlength=len(graphs)).unsqueeze(1)

    def mean(x: Tensor) -> Tensor:
        return x.new_zeros(len(graphs), x.shape[1]).index_add_(0, batch.structure, x) / atoms

    centre = mean(scalars)
    spread = mean((scalars - centre[batch.structure]) ** 2).sqrt()
    return torch.cat([centre, spread], dim=1).float().cpu().numpy()

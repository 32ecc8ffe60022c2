"""From one structure to its graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike

from crossfield.graph.graph import Graph
from crossfield.graph.neighbours import Edges, neighbour_list


def build_graph(
    Z: ArrayLike,
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    *,
    cutoff: float,
    head: int = 0,
    charge: float = 0.0,
    spin: float = 1.0,
    extra: Sequence[float] = (),
    edges: Edges | None = None,
) -> Graph:
    """Graph of one structure.

    Args:
        Z: (N,) atomic numbers.
        positions: (N, 3) Å.
        cell: (3, 3) Å.
        pbc: (3,) periodic axes.
        cutoff: longest edge, Å.
        head: index of the head to answer.
        charge: total charge, e.
        spin: multiplicity 2S+1.
        extra: further numbers that the model reads, in the order of its inputs.
        edges: what `neighbour_list` would find, by a `SkinList`; None: they are searched for.

    Raises:
        InputError: two atoms at the same place, or a cell without volume.
    """
    positions = np.asarray(positions, dtype=float).reshape(-1, 3)
    cell = np.asarray(cell, dtype=float).reshape(3, 3)
    pbc = np.asarray(pbc, dtype=bool).reshape(3)
    if edges is None:
        edges = neighbour_list(positions, cell, pbc, cutoff)
    return Graph(
        Z=torch.as_tensor(np.asarray(Z, dtype=np.int64)),
        positions=torch.from_numpy(positions.copy()),
        cell=torch.from_numpy(cell.copy())[None],
        pbc=torch.from_numpy(pbc.copy())[None],
        sender=torch.from_numpy(edges.sender),
        receiver=torch.from_numpy(edges.receiver),
        shift=torch.from_numpy(edges.shift),
        structure=torch.zeros(len(positions), dtype=torch.int64),
        head=torch.tensor([head]),
        charge=torch.tensor([charge], dtype=torch.float64),
        spin=torch.tensor([spin], dtype=torch.float64),
        extra=torch.tensor([tuple(extra)], dtype=torch.float64),
    )

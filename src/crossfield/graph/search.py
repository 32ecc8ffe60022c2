"""Neighbours of all structures of a batch: at once on their device, or one by one on the processor."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

from crossfield.errors import InputError
from crossfield.graph.graph import Graph
from crossfield.graph.neighbours import FLAT, MARGIN, NO_EDGES, NO_VOLUME, NOT_FINITE, Edges, candidates


def searcher(device: torch.device) -> str:
    """Who searches for the neighbours of batches that are on a device.

    "nvalchemi" on a GPU, where nvalchemi-toolkit-ops is installed (`pip install 'crossfield[gpu]'`): all
    structures at once. Else "vesin": structure by structure, on the processor, where it is the faster one.
    """
    return "nvalchemi" if device.type == "cuda" and _installed() else "vesin"


@cache
def _installed() -> bool:
    return find_spec("nvalchemiops") is not None


def connect(graph: Graph, reach: float) -> Graph:
    """The same structures with every pair closer than `reach` as edges, and perhaps a few that are longer.

    Edges are those that `candidates` finds for each of the structures, in the same order: by receiver, then
    sender, then shift. Axes may be periodic or not, and atoms inside the cell or not, and at the same place.
    `searcher` says who searches.

    Args:
        graph: structures, on any device; their edges are not read.
        reach: Å.

    Raises:
        InputError: a cell without volume along its periodic axes, or NaN or infinity, or a device that the
            library cannot use.
    """
    box = torch.where(graph.pbc.unsqueeze(2), graph.cell, torch.zeros_like(graph.cell))
    if not bool(graph.positions.isfinite().all() & box.isfinite().all()):
        raise InputError(NOT_FINITE)
    cell = _complete(box, graph.pbc)
    if searcher(graph.positions.device) == "nvalchemi":
        from crossfield.graph.nvalchemi import search  # which takes a second to import

        parts = search(graph.positions, graph.structure, cell, graph.pbc, reach + MARGIN)
        sender, receiver, shift = (torch.cat(each) for each in zip(*parts))
    else:
        sender, receiver, shift = _one_by_one(graph, reach)
    return replace(graph, sender=sender, receiver=receiver, shift=shift)


def _complete(box: Tensor, pbc: Tensor) -> Tensor:
    """(S, 3, 3) Å, the cells with unit vectors along open axes, orthogonal to all others."""
    _, size, basis = torch.linalg.svd(box)
    axes = pbc.sum(dim=1, keepdim=True)
    smallest = size.gather(1, (axes - 1).clamp(min=0)).squeeze(1)
    flat = pbc.any(dim=1) & (smallest < FLAT * size[:, 0].clamp(min=FLAT))
    if bool(flat.any()):
        raise InputError(NO_VOLUME, frame=int(flat.nonzero()[0]) if len(flat) > 1 else None)
    # the last singular vectors are the directions that the periodic axes leave
    left = (axes + (~pbc).cumsum(dim=1) - 1).clamp(0, 2)
    missing = basis.gather(1, left.unsqueeze(2).expand_as(basis))
    return torch.where(pbc.unsqueeze(2), box, missing)


def _one_by_one(graph: Graph, reach: float) -> tuple[Tensor, Tensor, Tensor]:
    """Senders, receivers and shifts, by vesin."""
    positions = graph.positions.cpu().split(
        torch.bincount(graph.structure, minlength=graph.num_structures).tolist()
    )
    found, first = [NO_EDGES], 0
    for x, cell, pbc in zip(positions, graph.cell.cpu().numpy(), graph.pbc.cpu().numpy()):
        edges = candidates(x.numpy(), cell, pbc, reach)
        found.append(Edges(edges.sender + first, edges.receiver + first, edges.shift))
        first += len(x)
    sender, receiver, shift = (
        torch.from_numpy(np.concatenate(part)).to(graph.positions.device) for part in zip(*found)
    )
    return sender, receiver, shift

"""The search of NVIDIA's nvalchemi-toolkit-ops for whole batches: for GPUs, and tested on processors.

Its kernels are written in Warp, which compiles them at first use, for some seconds, into a cache
(`WARP_CACHE_PATH`, or the user's cache directory).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import warp
from nvalchemiops.torch.neighbors.batch_cell_list import batch_build_cell_list, batch_query_cell_list
from nvalchemiops.torch.neighbors.neighbor_utils import allocate_cell_list
from torch import Tensor

from crossfield.errors import InputError
from crossfield.graph.neighbours import MARGIN

ROOM = 64  # for neighbours of an atom, to begin with
PAIRS = 1 << 22  # room for neighbours of all atoms that are looked at together, which bounds the memory
BINS, FEWEST = 1 << 24, 64  # of all structures together at most, and of each at least


def search(
    positions: Tensor, structure: Tensor, cell: Tensor, pbc: Tensor, reach: float
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """All pairs closer than `reach`, part by part: senders, receivers and shifts as in a graph, sorted.

    Args:
        positions: (N, 3) Å, float64, structure by structure.
        structure: (N,) of each atom.
        cell: (S, 3, 3) Å, with orthogonal unit vectors along axes that are not periodic.
        pbc: (S, 3) which axes are periodic.
        reach: Å.

    Raises:
        InputError: Warp finds no driver that is new enough for it.
    """
    yield structure[:0], structure[:0], positions[:0]
    if not len(positions):
        return
    _check(positions.device)
    along = torch.einsum("na,nak->nk", positions, torch.linalg.inv(cell)[structure])
    whole = torch.where(pbc[structure], along.floor(), 0.0)
    box = torch.where(pbc.unsqueeze(2), cell, 0.0)
    home = positions - torch.einsum("nk,nka->na", whole, box[structure])  # in the cell
    along, length = _close_up(along - whole, structure, pbc, reach)
    place = torch.einsum("nk,nka->na", along, cell[structure])
    found = _near(place, structure, cell * length.unsqueeze(2), pbc, reach + MARGIN)  # as places are rounded
    for receiver, sender, shift in found:
        step = home[receiver] - home[sender] + torch.einsum("ek,eka->ea", shift, box[structure[receiver]])
        near = (step.square_().sum(dim=1) < reach * reach).nonzero().squeeze(1)
        receiver, sender = receiver[near], sender[near]
        yield sender, receiver, shift[near] + whole[sender] - whole[receiver]


def _check(device: torch.device) -> None:
    if device.type == "cuda" and not warp.is_cuda_available():
        raise InputError(
            f"Warp {warp.__version__}, which searches for neighbours, cannot use this GPU: install a driver "
            "or a warp-lang that fit each other, or do without: pip uninstall nvalchemi-toolkit-ops"
        )


def _close_up(along: Tensor, structure: Tensor, pbc: Tensor, reach: float) -> tuple[Tensor, Tensor]:
    """(N, 3) where atoms are along each axis, and (S, 3) how long cells are, as multiples of their vectors.

    The bins of a structure fill its cell, and there are only so many. Along open axes, cells therefore begin
    and end with the atoms, and gaps that nothing reaches across are closed up.
    """
    along, length = along.clone(), torch.ones_like(pbc, dtype=along.dtype)
    for axis in range(3):
        is_open = ~pbc[:, axis]
        atoms = is_open[structure].nonzero().squeeze(1)
        atoms = atoms[along[atoms, axis].argsort()]
        atoms = atoms[structure[atoms].argsort(stable=True)]
        at, s = along[atoms, axis], structure[atoms]
        begins = torch.ones_like(s, dtype=torch.bool)
        begins[1:] = s[1:] != s[:-1]
        steps = torch.where(begins, 0.0, at.diff(prepend=at[:1]).clamp(max=1.01 * reach)).cumsum(0)
        closed = steps - steps[begins].repeat_interleave(s.unique_consecutive(return_counts=True)[1])
        along[atoms, axis] = closed
        end = torch.zeros_like(length[:, axis]).scatter_reduce(0, s, closed, "amax")
        length[:, axis] = torch.where(is_open, end + reach, 1.0)
    return along, length


def _near(
    place: Tensor, structure: Tensor, cell: Tensor, pbc: Tensor, reach: float
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Receivers, senders and shifts of pairs closer than `reach`, sorted; the next receivers in each part."""
    # Warp reads what is in order in memory
    place, cell, pbc, of = place.contiguous(), cell.contiguous(), pbc.contiguous(), structure.int()
    device = place.device
    most = int(torch.bincount(structure).max())
    # bins are shared out evenly: enough for the largest structure, or it would get few among many small ones
    number = min(len(cell) * max(2 * most, FEWEST), BINS)
    grid = allocate_cell_list(len(place), number, torch.zeros_like(pbc, dtype=torch.int32), device)
    batch_build_cell_list(place, reach, cell, pbc, of, *grid, min_cells_per_dimension=1)
    size, look = grid[:2]  # how many bins there are along each axis, and how many of them to look into
    look.copy_((reach * size * torch.linalg.vector_norm(torch.linalg.inv(cell), dim=1)).ceil())
    bins = (place, cell, pbc, reach, of, *grid)
    atoms, room, first = torch.arange(len(place), dtype=torch.int32, device=device), ROOM, 0
    while first < len(place):
        some = atoms[first : first + max(PAIRS // room, 1)]
        found, shifts = some.new_empty(len(some), room), some.new_empty(len(some), room, 3)
        count = torch.zeros_like(some)
        batch_query_cell_list(*bins, found, shifts, count, strategy="atom_centric", target_indices=some)
        largest = int(count.max())
        if largest > room:  # what did not fit was counted all the same
            room = largest
            continue
        first += len(some)
        row, slot = (torch.arange(room, device=device) < count.unsqueeze(1)).nonzero(as_tuple=True)
        sender, shift = found[row, slot].long(), -shifts[row, slot].long()
        order = _order(row * len(place) + sender, shift)
        yield some[row].long()[order], sender[order], shift[order].to(place)


def _order(pair: Tensor, shift: Tensor) -> Tensor:
    """By pair (E,), then shift (E, 3)."""
    if not len(pair):
        return pair
    x, y, z = (shift - shift.amin(dim=0)).unbind(1)
    order = ((x * (y.max() + 1) + y) * (z.max() + 1) + z).argsort()
    return order[pair[order].argsort(stable=True)]

"""Neighbours of a whole batch, on the device where it is: a search in nothing but torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from crossfield.errors import InputError
from crossfield.graph.graph import Graph
from crossfield.graph.neighbours import FLAT, MARGIN, NO_VOLUME, NOT_FINITE

COLUMN = 2  # columns, along x and y, to the reach
SLICE = 16  # slices of a column, along z, to the reach
GRID = 1 << 16  # most columns or slices along an axis, so that numbers of bins stay within 64 bits
ATOMS, PAIRS = 1 << 15, 1 << 22  # looked at together, which bounds the memory


class _Points(NamedTuple):
    """Atoms and those of their images that may be near an atom: M, by atom, then by shift."""

    atom: Tensor  # (M,) int64
    shift: Tensor  # (M, 3) lattice vectors that an edge to an atom in the cell crosses, float64
    place: Tensor  # (M, 3) Å


class _Bins(NamedTuple):
    """Columns of square section along z, in slices; numbered structure by structure, slices running."""

    origin: Tensor  # (S, 3) Å
    width: Tensor  # (S, 3) Å
    size: Tensor  # (S, 3) how many there are along each axis
    first: Tensor  # (S,) number of a structure's first bin

    def number(self, structure: Tensor, bin: Tensor) -> Tensor:
        """Numbers of bins (..., 3) of structures (...)."""
        x, y, z = bin.unbind(-1)
        _, ny, nz = self.size[structure].unbind(-1)
        return self.first[structure] + (x * ny + y) * nz + z

    def of(self, structure: Tensor, place: Tensor) -> Tensor:
        """(..., 3) the bin of each place (..., 3): how far along each axis."""
        return ((place - self.origin[structure]) / self.width[structure]).floor().long()


def connect(graph: Graph, reach: float) -> Graph:
    """The same structures with every pair closer than `reach` as edges, and perhaps a few that are longer.

    Edges are those that `candidates` finds for each of the structures, in the same order: by receiver, then
    sender, then shift. Axes may be periodic or not, and atoms inside the cell or not, and at the same place.
    Images of atoms are written out, put into bins, and looked at from each atom. (On a processor and for one
    small structure, `candidates` is faster.)

    Args:
        graph: structures, on any device; their edges are not read.
        reach: Å.

    Raises:
        InputError: a cell without volume along its periodic axes, or NaN or infinity.
    """
    reach = reach + MARGIN
    periodic = graph.pbc.unsqueeze(2)
    box = torch.where(periodic, graph.cell, torch.zeros_like(graph.cell))
    if not bool(graph.positions.isfinite().all() & box.isfinite().all()):
        raise InputError(NOT_FINITE)
    inverse = _inverse(box, graph.pbc)
    s = graph.structure
    whole = torch.einsum("na,nak->nk", graph.positions, inverse[s]).floor()
    home = graph.positions - torch.einsum("nk,nka->na", whole, box[s])  # in the cell
    points = _images(home, s, box, inverse, reach)
    bins = _bins(home, s, len(box), reach)
    pair = torch.cat([s[:0], *_near(home, s, bins, points, reach)])
    receiver, point = pair // max(len(points.atom), 1), pair % max(len(points.atom), 1)
    crossed = points.shift + whole[points.atom]
    sender = points.atom.index_select(0, point)  # several times as fast as indexing, on processors
    shift = crossed.index_select(0, point).sub_(whole.index_select(0, receiver))
    return replace(graph, sender=sender, receiver=receiver, shift=shift)


def _inverse(box: Tensor, pbc: Tensor) -> Tensor:
    """(S, 3, 3) 1/Å, columns give how far a place is along each periodic axis; zeros for open axes."""
    left, size, right = torch.linalg.svd(box)
    axes = pbc.sum(dim=1, keepdim=True)
    smallest = size.gather(1, (axes - 1).clamp(min=0)).squeeze(1)
    flat = pbc.any(dim=1) & (smallest < FLAT * size[:, 0].clamp(min=FLAT))
    if bool(flat.any()):
        raise InputError(NO_VOLUME, frame=int(flat.nonzero()[0]) if len(flat) > 1 else None)
    there = torch.arange(3, device=box.device) < axes
    size = torch.where(there, 1.0 / torch.where(there, size, 1.0), 0.0)
    inverse = torch.einsum("ska,sk,sbk->sab", right, size, left)
    return torch.where(pbc.unsqueeze(1), inverse, torch.zeros_like(inverse))


def _extent(values: Tensor, structure: Tensor, structures: int) -> tuple[Tensor, Tensor]:
    """(S, 3) smallest and largest of values (N, 3) of each structure; 0 where there are none."""
    index = structure.unsqueeze(1).expand_as(values)
    empty = values.new_zeros(structures, 3)
    low = empty.scatter_reduce(0, index, values, "amin", include_self=False)
    return low, empty.scatter_reduce(0, index, values, "amax", include_self=False)


def _runs(first: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """The whole numbers from `first`, `count` of them, run after run: of which run, and which number."""
    run = torch.repeat_interleave(count)
    place = torch.arange(len(run), device=run.device)
    return run, place + (first - count.cumsum(0) + count)[run]


def _images(home: Tensor, structure: Tensor, box: Tensor, inverse: Tensor, reach: float) -> _Points:
    """All images that are within reach of the space that the atoms of a structure take up."""
    along = torch.einsum("na,nak->nk", home, inverse[structure])
    low, high = _extent(along, structure, len(box))
    far = reach * torch.linalg.vector_norm(inverse, dim=1)  # (S, 3) as parts of the cell
    first = (along - (high + far)[structure]).ceil().long()
    last = (along - (low - far)[structure]).floor().long()
    atom = torch.arange(len(home), device=home.device)
    shift = home.new_zeros(len(home), 0)
    for axis in range(3):
        k = first[atom, axis]
        run, number = _runs(k, last[atom, axis] - k + 1)
        atom, shift = atom[run], torch.cat([shift[run], number.to(shift).unsqueeze(1)], dim=1)
    place = home[atom] - torch.einsum("mk,mka->ma", shift, box[structure[atom]])
    # in a skewed cell most are elsewhere
    low, high = _extent(home, structure, len(box))
    s = structure[atom]
    near = ((place >= (low - reach)[s]) & (place <= (high + reach)[s])).all(dim=1).nonzero().squeeze(1)
    return _Points(atom[near], shift[near], place[near])


def _bins(home: Tensor, structure: Tensor, structures: int, reach: float) -> _Bins:
    """Bins for all places within reach of the atoms."""
    low, high = _extent(home, structure, structures)
    finest = reach / torch.tensor([COLUMN, COLUMN, SLICE], dtype=home.dtype, device=home.device)
    span = high - low + 2.0 * reach
    width = torch.maximum(finest, span / GRID)
    size = (span / width).floor().long() + 2  # one to spare for round-off
    all_of = size.prod(dim=1)
    return _Bins(low - reach, width, size, all_of.cumsum(0) - all_of)


def _near(home: Tensor, structure: Tensor, bins: _Bins, points: _Points, reach: float) -> Iterator[Tensor]:
    """Pairs closer than reach, part by part: receiver times the number of points, plus point; ascending."""
    s = structure[points.atom]
    numbers, order = bins.number(s, bins.of(s, points.place)).sort()
    place = points.place[order].T.contiguous()
    for atoms in torch.arange(len(home), device=home.device).split(ATOMS):
        first, count = _look(home[atoms], structure[atoms], bins, numbers, reach)
        parts = (count.sum(dim=1).cumsum(0) // PAIRS).unique_consecutive(return_counts=True)[1].tolist()
        for a, i, n in zip(atoms.split(parts), first.split(parts), count.split(parts)):
            run, slot = _runs(i.flatten(), n.flatten())
            receiver = a[run // n.shape[1]]
            squared = torch.zeros_like(slot, dtype=home.dtype)
            for x, y in zip(home.T, place):
                squared += (x.index_select(0, receiver) - y.index_select(0, slot)).square_()
            near = (squared < reach * reach).nonzero().squeeze(1)
            receiver, point = receiver[near], order[slot[near]]
            itself = (points.atom[point] == receiver) & (points.shift[point] == 0).all(dim=1)
            yield (receiver * len(order) + point)[~itself].sort().values


def _look(
    home: Tensor, structure: Tensor, bins: _Bins, numbers: Tensor, reach: float
) -> tuple[Tensor, Tensor]:
    """What is to be looked at from each atom: in the columns around, what may be within reach there.

    Args:
        home: (N, 3) Å, atoms.
        structure: (N,) of each.
        bins: the bins.
        numbers: (M,) of the bin of each point, ascending.
        reach: Å.

    Returns:
        (N, K) first of the points, in that order, in each of K columns, and how many there are.
    """
    step = torch.arange(-COLUMN, COLUMN + 1, device=home.device)
    s, x = structure.unsqueeze(1), home.unsqueeze(1)  # (N, 1), (N, 1, 3)
    column = bins.of(s, x)[..., :2] + torch.cartesian_prod(step, step)  # (N, K, 2)
    width, columns = bins.width[s][..., :2], bins.size[s][..., :2]
    corner = (x - bins.origin[s])[..., :2] - column * width  # Å, the atom from that of the column
    apart = torch.maximum(-corner, corner - width).clamp(min=0.0)
    room = reach * reach - apart.square().sum(dim=-1)  # Å^2, of half the height within reach
    there = ((column >= 0) & (column < columns)).all(dim=-1) & (room > 0.0)
    half = torch.nn.functional.pad(room.clamp(min=0.0).sqrt().unsqueeze(-1), (2, 0))  # (N, K, 3) Å, along z
    ends = [torch.cat([column, bins.of(s, y)[..., 2:]], dim=-1) for y in (x - half, x + half)]
    first = torch.searchsorted(numbers, bins.number(s, ends[0]))
    count = torch.searchsorted(numbers, bins.number(s, ends[1]), right=True) - first
    return first, torch.where(there, count, 0)

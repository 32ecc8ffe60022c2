"""Radial functions of element pairs as splines of the distance.

For an ordered pair of elements, radial weights and density are functions of the distance alone: transform,
basis, network and cutoff are folded into one uniform cubic B-spline for each. It has continuous second
derivatives, so that forces are smooth. Its knots are doubled until values and slopes are as exact as asked
for, at points between the knots; distances below its start are never extrapolated, a table with an earlier
start is made instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossfield.errors import InputError
from crossfield.inference.freeze import Frozen, FrozenLayer
from crossfield.inference.layout import filled
from crossfield.inference.matrices import lanes_of
from crossfield.kernels import Connectivity
from crossfield.model import Model
from crossfield.model.layer import EdgeGeometry, LayerShape

Array = NDArray[np.float64]
START = 0.5  # Å; where tables begin, unless atoms come closer
FAR = 0.9  # Å; nearer, forces are tens of eV/Å, and a tenth of the accuracy will do
CLOSEST = 0.01  # Å; below this, functions of the distance are evaluated
INTERVALS = (256, 512, 1024, 2048, 4096)  # that are tried; the last is taken as it is
PARTS = 4  # of the distance between two knots; at their ends the spline is compared with its function
LARGEST = 4 << 30  # bytes of all tables


class Radial(NamedTuple):
    """Radial functions of one layer for some edges: values and derivatives by the distance, float64."""

    weights: Tensor  # (E, paths * channels)
    weights_slope: Tensor
    density: Tensor | None  # (E, 1)
    density_slope: Tensor | None


def evaluate(frozen: Frozen, layer: FrozenLayer, d: Tensor, sender: Tensor, receiver: Tensor) -> Radial:
    """Radial functions, evaluated.

    Args:
        frozen: the model.
        layer: one of its layers.
        d: (E,) distances, Å, float64.
        sender, receiver: (E,) index of their elements, among those of the frozen model.
    """
    z_s, z_t = frozen.elements[sender], frozen.elements[receiver]
    numbers = torch.tensor(frozen.config.elements)

    def functions(x: Tensor) -> tuple[Tensor, Tensor]:
        basis, cutoff = frozen.model.radial_basis(x, numbers[z_s], numbers[z_t])
        nothing: Tensor = x.new_zeros(0)
        edges = EdgeGeometry(Connectivity(nothing, nothing, 0), z_s, z_t, [], basis, cutoff)
        w, rho = layer.radial(edges)
        return w, w.new_zeros(len(w), 0) if rho is None else rho

    found: Any = torch.func.jvp(functions, (d,), (torch.ones_like(d),))
    (w, rho), (w_slope, rho_slope) = found
    return Radial(w, w_slope, rho, rho_slope) if rho.shape[1] else Radial(w, w_slope, None, None)


class Form(NamedTuple):
    """How a spline is written down, from its coefficients c (knots + 2, functions)."""

    numbers: int  # that each row has for every function
    more: int  # rows than knots
    lanes: Callable[[torch.dtype], int]  # channels are filled up to a multiple of them
    rows: Callable[[Array, float], Array]  # from c and the distance of knots, (rows, numbers, functions)


def _basis_splines(c: Array, step: float) -> Array:
    return np.stack([c, np.diff(c, axis=0, append=c[-1:]) / step], axis=1)  # the last slope is never read


def _polynomials(c: Array, step: float) -> Array:
    a, b, d, e = c[:-3], c[1:-2], c[2:-1], c[3:]
    of_t = [(a + 4 * b + d) / 6, (d - a) / 2, (a - 2 * b + d) / 2, (3 * (b - d) + e - a) / 6]
    found = np.stack([x / step**k for k, x in enumerate(of_t)], axis=1)
    return np.concatenate([found, np.zeros_like(found[:1])])


# Row k has coefficient k of the spline and of its derivative: at x = (d - start) / step, rows floor(x) to
# floor(x) + 3 count. Little memory, for processors whose caches hold it.
BASIS_SPLINES = Form(2, 2, lanes_of, _basis_splines)
# Row k has the polynomial of d - start - k step up to the next knot, and the last row, for all from the
# cutoff on, zeros. Twice the memory, of which value and derivative together read the least.
POLYNOMIALS = Form(4, 0, lambda dtype: 16, _polynomials)


@dataclass(frozen=True)
class Tables:
    """Splines for all ordered pairs of the elements of a frozen model.

    Row k of a pair (s, t) is row `(s * elements + t) * rows + k`.
    """

    form: Form
    elements: tuple[int, ...]  # indices among those of the model
    start: float  # Å
    step: float  # Å
    rows: int  # per pair
    weights: list[Tensor]  # per layer (pairs * rows, numbers, paths, channels)
    densities: list[Tensor | None]  # per layer (pairs * rows, numbers)
    error: float  # largest deviation between knots, as `step_for` counts it

    def fits(self, other: Tables) -> bool:
        """Whether rows of one are those of the other, for the same pair of elements."""
        here, there = (t.weights[0].dtype for t in (self, other))
        return (self.start, self.step, self.rows, here) == (other.start, other.step, other.rows, there)

    def copy(self, here: slice, other: Tables, there: slice, *, layer: int) -> None:
        """Take over the rows of a pair from other tables."""
        self.weights[layer][here] = other.weights[layer][there]
        density, known = self.densities[layer], other.densities[layer]
        if density is not None and known is not None:
            density[here] = known[there]


def step_for(frozen: Frozen, tolerance: float) -> float:
    """The distance of knots, Å, for which splines of all pairs of the elements are exact enough.

    Args:
        frozen: the model, with the elements to look at: each with itself, and the first with the last.
        tolerance: largest deviation between knots, relative to the largest value of a function from 0.9 Å on;
            nearer by, and for slopes relative to the largest slope, ten times that.
    """
    for intervals in INTERVALS:
        step = (frozen.config.cutoff - START) / intervals
        if _worst(frozen, START, step) <= tolerance:
            break
    return step


def build(
    frozen: Frozen,
    *,
    start: float,
    step: float,
    dtype: torch.dtype,
    form: Form = BASIS_SPLINES,
    others: Sequence[Tables] = (),
) -> Tables:
    """Make tables.

    Args:
        frozen: the model.
        start: shortest distance, Å; they begin at the last knot before it.
        step: distance of knots, Å, counted down from the cutoff.
        dtype: of the tables.
        form: how they are written down.
        others: tables of the same model and form, from which pairs are taken over where knots and dtype are
            the same.

    Raises:
        InputError: the tables would be larger than 4 GiB.
    """
    n = len(frozen.elements)
    knots = _knots(frozen.config.cutoff, start, step)
    start, rows = frozen.config.cutoff - (knots - 1) * step, knots + form.more
    if size(frozen.model, n, start, step, form, dtype) > LARGEST:
        raise InputError(
            f"tables for {n} elements would take more than {LARGEST >> 30} GiB: "
            "evaluate fewer elements at a time, or without tables (table_accuracy=None)"
        )
    elements = tuple(frozen.elements.tolist())
    made = _empty(frozen, elements, start, step, rows, dtype, form)
    known = _pairs_of([o for o in others if o.fits(made)])
    pairs = [(s, t, known.get((elements[s], elements[t]))) for s, t in _all_pairs(n)]
    new = [(s, t) for s, t, place in pairs if place is None]
    worst = 0.0
    for k, layer in enumerate(frozen.layers):
        splines = _splines(frozen, layer, start, step, new)
        for p, (_, _, place) in enumerate(pairs):
            here = slice(p * rows, (p + 1) * rows)
            if place is not None:
                made.copy(here, *place, layer=k)
                worst = max(worst, place[0].error)
                continue
            weight, *others_of_pair = next(splines)
            C = layer.edge_channels
            found = torch.from_numpy(form.rows(weight.c, step))
            made.weights[k][here, :, :, :C] = found.view(rows, form.numbers, -1, C)
            for other in others_of_pair:
                density = made.densities[k]
                assert density is not None
                density[here] = torch.from_numpy(form.rows(other.c, step)[:, :, 0])
            worst = max(worst, weight.error, *(other.error for other in others_of_pair))
    return replace(made, error=worst)


def _empty(
    frozen: Frozen,
    elements: tuple[int, ...],
    start: float,
    step: float,
    rows: int,
    dtype: torch.dtype,
    form: Form,
) -> Tables:
    """Tables of zeros."""
    total, lanes = len(elements) ** 2 * rows, form.lanes(dtype)
    weights, densities = [], []
    for layer in frozen.layers:
        C = filled(layer.edge_channels, lanes)
        weights.append(torch.zeros(total, form.numbers, len(layer.paths), C, dtype=dtype))
        density = torch.zeros(total, form.numbers, dtype=dtype) if layer.divisor is not None else None
        densities.append(density)
    return Tables(form, elements, start, step, rows, weights, densities, 0.0)


def _pairs_of(others: Sequence[Tables]) -> dict[tuple[int, int], tuple[Tables, slice]]:
    """Where the rows of pairs of elements are, by their indices in the model."""
    found = {}
    for other in others:
        for p, (s, t) in enumerate(_all_pairs(len(other.elements))):
            found[other.elements[s], other.elements[t]] = other, slice(p * other.rows, (p + 1) * other.rows)
    return found


def size(
    model: Model, elements: int, start: float, step: float, form: Form, dtype: torch.dtype | None = None
) -> int:
    """Bytes of tables for so many elements of a model."""
    dtype = dtype or model.dtype
    rows = _knots(model.config.cutoff, start, step) + form.more
    shapes = [LayerShape.of(model.config, t) for t in range(model.config.layers)]
    row = sum(len(s.paths) * filled(s.edge.channels[0], form.lanes(dtype)) for s in shapes)
    return form.numbers * elements**2 * rows * row * dtype.itemsize


def _knots(cutoff: float, start: float, step: float) -> int:
    return math.ceil((cutoff - start) / step - 1e-9) + 1


def _all_pairs(elements: int) -> Iterator[tuple[int, int]]:
    return ((s, t) for s in range(elements) for t in range(elements))


class Spline(NamedTuple):
    """Functions of one pair of elements."""

    c: Array  # (knots + 2, functions) coefficients of B-splines
    error: float  # as `step_for` counts it


def _worst(frozen: Frozen, start: float, step: float) -> float:
    n = len(frozen.elements)
    pairs = [*((k, k) for k in range(n)), (0, n - 1), (n - 1, 0)]
    found = [_splines(frozen, layer, start, step, pairs) for layer in frozen.layers]
    return max(spline.error for layer in found for splines in layer for spline in splines)


def _splines(
    frozen: Frozen, layer: FrozenLayer, start: float, step: float, pairs: Iterable[tuple[int, int]]
) -> Iterator[list[Spline]]:
    """Radial weights and, if there is one, density: pair by pair."""
    # knots, and the points between them, of which every one is looked at; a spline's slope is more exact than
    # elsewhere at the knots and halfway between them
    points = PARTS * round((frozen.config.cutoff - start) / step) + 1
    d = torch.linspace(start, frozen.config.cutoff, points, dtype=torch.float64)
    far = max(0, min(points // PARTS - 1, math.ceil((FAR - start) / step)))
    for s, t in pairs:
        found = evaluate(frozen, layer, d, torch.full((points,), s), torch.full((points,), t))
        splines = [_spline(found.weights.numpy(), found.weights_slope.numpy(), step, far)]
        if found.density is not None and found.density_slope is not None:
            splines.append(_spline(found.density.numpy(), found.density_slope.numpy(), step, far))
        yield splines


def _spline(values: Array, slopes: Array, step: float, far: int) -> Spline:
    """Through some of the values, and compared with the others; before the knot `far`, less strictly."""
    knots = values[::PARTS]
    rows = len(knots) + 2
    right = np.concatenate([slopes[:1], knots, slopes[-1:]])
    band = np.zeros((5, rows))  # band[2 + i - j, j] is entry (i, j)
    band[1, 2:], band[2, 1:-1], band[3, :-2] = 1 / 6, 4 / 6, 1 / 6
    band[2, 0], band[0, 2], band[1, 1] = -0.5 / step, 0.5 / step, 0.0
    band[2, -1], band[4, -3], band[3, -2] = 0.5 / step, -0.5 / step, 0.0
    from scipy.linalg import solve_banded  # takes a while to import

    c = solve_banded((2, 2), band, right)
    error = np.zeros(len(knots) - 1)
    for k in range(1, PARTS):
        weights, slope_weights = _cubic(k / PARTS)
        value = sum(w * c[r : len(c) - 3 + r] for r, w in enumerate(weights))
        slope = sum(w * c[r : len(c) - 3 + r] for r, w in enumerate(slope_weights)) / step
        for found, exact, share in ((value, values, 1.0), (slope, slopes, 0.1)):
            deviation = share * np.abs(found - exact[k::PARTS]).max(axis=1)
            deviation[:far] *= 0.1 / max(np.abs(exact).max(), 1e-30)
            deviation[far:] /= max(np.abs(exact[far * PARTS :]).max(), 1e-30)
            np.maximum(error, deviation, out=error)
    return Spline(c, float(error.max()))


def _cubic(t: float) -> tuple[list[float], list[float]]:
    """Weights of the rows of a cubic B-spline at 0 <= t <= 1 between two knots, and their derivatives."""
    s = 1.0 - t
    values = [s**3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6, (3 * s**3 - 6 * s**2 + 4) / 6, t**3 / 6]
    slopes = [-(s**2) / 2, (3 * t**2 - 4 * t) / 2, -(3 * s**2 - 4 * s) / 2, t**2 / 2]
    return values, slopes

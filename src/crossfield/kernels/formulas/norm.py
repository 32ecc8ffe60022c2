"""Layer normalisation followed by SiLU; a row of numbers is a few vectors, over which `mean` averages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple

from crossfield.kernels.formulas.number import Dual, Q, logistic

EPSILON = 1e-5  # added to the variance, as in torch
Vectors = Sequence[Dual[Q]]
Mean = Callable[[Vectors[Q]], Dual[Q]]


class Normalised(NamedTuple, Generic[Q]):
    """A row on its way."""

    normal: list[Dual[Q]]  # of mean 0 and variance 1
    root: Dual[Q]  # inverse root of the variance
    z: list[Dual[Q]]  # what SiLU is applied to


class NormGradient(NamedTuple, Generic[Q]):
    """Gradients of a row."""

    x: list[Dual[Q]]
    scale: list[Dual[Q]]  # to be summed over rows, as that by the shift
    shift: list[Dual[Q]]


def normalised(x: Vectors[Q], scale: Vectors[Q], shift: Vectors[Q], mean: Mean[Q]) -> Normalised[Q]:
    """From a row to what SiLU is applied to."""
    average = mean(x)
    centred = [v - average for v in x]
    root = (mean([v * v for v in centred]) + EPSILON).inverse_root()
    normal = [v * root for v in centred]
    return Normalised(normal, root, [v * a + b for v, a, b in zip(normal, scale, shift, strict=True)])


def value(row: Normalised[Q]) -> list[Dual[Q]]:
    """SiLU of it."""
    return [v * logistic(v) for v in row.z]


def gradient(row: Normalised[Q], scale: Vectors[Q], gy: Vectors[Q], mean: Mean[Q]) -> NormGradient[Q]:
    """From the gradient by the result."""
    s = [logistic(v) for v in row.z]
    gz = [g * w * (v * (w * -1.0 + 1.0) + 1.0) for g, v, w in zip(gy, row.z, s, strict=True)]
    g_normal = [g * v for g, v in zip(gz, scale, strict=True)]
    average = mean(g_normal)
    along = mean([g * v for g, v in zip(g_normal, row.normal, strict=True)])
    gx = [row.root * (g - average - v * along) for g, v in zip(g_normal, row.normal, strict=True)]
    return NormGradient(gx, [g * v for g, v in zip(gz, row.normal, strict=True)], gz)

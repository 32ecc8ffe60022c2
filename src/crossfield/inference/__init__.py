"""Evaluating structures with a trained model."""

from crossfield.inference.potential import Potential
from crossfield.inference.results import EdgeForces, Result

__all__ = ["EdgeForces", "Potential", "Result"]

"""Use of a potential: ASE calculator, relaxation, molecular dynamics."""

from crossfield.simulate.calculator import Calculator

__all__ = ["Calculator"]

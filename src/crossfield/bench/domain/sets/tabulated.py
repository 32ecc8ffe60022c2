"""Long runs on few elements: the same potential, with its radial functions from tables."""

from __future__ import annotations

from ase.calculators.calculator import Calculator
from ase.calculators.mixing import SumCalculator

from crossfield import simulate
from crossfield.inference.potential import Potential
from crossfield.inference.prepared import ACCURACY


def tabulated(calculator: Calculator) -> Calculator:
    """A calculator for thousands of steps, as users run them.

    Potentials of ours then take radial functions from tables, exact to 1 µeV/atom, which take seconds to make
    and a step a tenth of the time. Other calculators, and dispersion that is added, stay as they are.
    """
    if isinstance(calculator, SumCalculator):
        return SumCalculator([tabulated(part) for part in calculator.mixer.calcs])
    if not isinstance(calculator, simulate.Calculator):
        return calculator
    potential = calculator.potential
    return simulate.Calculator(
        Potential(potential.model, calculator.head, backend=potential.backend, table_accuracy=ACCURACY),
        calculator.head,
    )

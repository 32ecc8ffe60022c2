"""D3(BJ) for models whose labels contain no dispersion, and whether two functionals are the same."""

from __future__ import annotations

import re
from importlib.util import find_spec

from ase.calculators.calculator import Calculator
from ase.calculators.mixing import SumCalculator

from crossfield.bench.domain.benchmark import Reference
from crossfield.theory import Theory
from crossfield.theory.dispersion import NONE, UNKNOWN, dispersion_of

WITHOUT_U = "without U"  # in the name of a reference

# functional as it is written in theories, plain: name of its parameters in dftd3
_PARAMETERS = {
    "pbe": "pbe",
    "pbe+u": "pbe",
    "pbesol": "pbesol",
    "rpbe": "rpbe",
    "revpbe": "revpbe",
    "r2scan": "r2scan",
    "scan": "scan",
    "b3lyp": "b3lyp",
    "pbe0": "pbe0",
    "blyp": "blyp",
    "bp86": "bp",
    "tpss": "tpss",
    "ωb97x": "wb97x",
    "hse06": "hse06",
    "revtpss": "revtpss",
    "m06l": "m06l",
}


FUNCTIONALS = frozenset(_PARAMETERS) | {"ωb97m", "ωb97", "pw91", "lda", "optb88", "beef", "hf"}


def functional(method: str) -> str:
    """The plain name of a functional, without dispersion, +U and remarks: "pbe" of "PBE-D3(BJ), no U"."""
    first = _name(method).lower().replace("²", "2")
    first = re.sub(r"^w(?=b97)", "ω", first)  # as it is written without Greek letters
    return re.sub(r"[-+](d[234].*|u|r?v|r?vv10|nl|mbd|ts)$", "", first)


def _name(method: str) -> str:
    """As a method writes its functional, without remarks."""
    return re.split(r"[,;/\s]", method.strip(), maxsplit=1)[0]


def functional_mismatch(theory: Theory, reference: Reference) -> str:
    """A sentence if a model's functional is not the one that it is compared with; else ""."""
    if not reference.functional:
        return ""
    own, other = functional(theory.method), functional(reference.method)
    if not own:
        return f"the model's functional is not known; the reference is {reference.method}"
    if own == other and WITHOUT_U in reference.method and "+U" in theory.method:
        return f"the model stands for {theory.method}, the reference is without U"
    if own == other:
        return ""
    return f"the model stands for {theory.method}, the reference is {reference.method}"


def dispersion_to_add(theory: Theory) -> tuple[str | None, str]:
    """Which D3 parameters to add to a model, and a remark about it.

    Returns:
        name of the parameters in dftd3, or None to add nothing; and "D3(BJ) of PBE", or why there is none.
    """
    contained = dispersion_of(theory)
    if contained == UNKNOWN:
        return None, "none added: it is not known whether the model contains dispersion"
    if contained != NONE:
        return None, f"none added: the model contains {contained}"
    name = _PARAMETERS.get(functional(theory.method))
    if name is None:
        return None, f"none added: there are no D3(BJ) parameters for {theory.method or 'this method'}"
    if find_spec("dftd3") is None:
        return None, "none added: the package dftd3 is not installed (pip install 'crossfield[bench]')"
    return name, f"D3(BJ) of {_name(theory.method)}, two-body"


def with_dispersion(calculator: Calculator, parameters: str | None) -> Calculator:
    """A calculator with D3(BJ) added; itself where there is nothing to add."""
    if parameters is None:
        return calculator
    from dftd3.ase import DFTD3

    return SumCalculator([calculator, DFTD3(method=parameters, damping="d3bj")])

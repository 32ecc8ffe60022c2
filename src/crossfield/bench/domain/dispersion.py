"""D3(BJ) for models whose labels contain no dispersion, and whether two functionals are the same."""

from __future__ import annotations

import re

from ase.calculators.calculator import Calculator
from ase.calculators.mixing import SumCalculator

from crossfield.bench.domain.benchmark import Reference
from crossfield.theory import Theory
from crossfield.theory.dispersion import NONE, UNKNOWN, dispersion_of

WITHOUT_U = "without U"  # in the name of a reference

# functional as it is written in theories, plain: name of its parameters in dftd3. Those of ωB97X there are of
# another functional, ωB97X-V without VV10, and for M06-L there are none with this damping.
_PARAMETERS = {
    "pbe": "pbe",
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
    "hse06": "hse06",
    "revtpss": "revtpss",
}
# and those of which it is known that there are none, or that they contain dispersion
FUNCTIONALS = frozenset(_PARAMETERS) | {
    *("ωb97m", "ωb97x", "ωb97", "m06l", "m06-l", "pw91", "lda", "optb88", "optb86b", "beef", "vdw-df", "hf")
}
_SUFFIX = re.compile(r"[-+](?:d[234].*|vdw|u|r?v|r?vv10|nl|mbd|ts|xdm)$|\(\+u\)$")
ADDED, NOT_ADDED = "D3(BJ)", "none added"  # how remarks begin


def functional(method: str) -> str:
    """The plain name of a functional, without dispersion, +U and remarks: "pbe" of "PBE+U-D3(BJ), no U"."""
    plain = _name(method).lower().replace("²", "2")
    plain = re.sub(r"^w(?=b97)", "ω", plain)  # as it is written without Greek letters
    while (shorter := _SUFFIX.sub("", plain)) != plain:
        plain = shorter
    return plain


def _name(method: str) -> str:
    """As a method writes its functional, without remarks."""
    return re.split(r"[,;/\s]", method.strip(), maxsplit=1)[0]


def functional_mismatch(theory: Theory, reference: Reference, added: str | None = None) -> str:
    """A sentence if a model's functional, or dispersion, is not that of what it is compared with; else "".

    Args:
        theory: of the model.
        reference: of the benchmark.
        added: the D3(BJ) parameters that the benchmark adds; None: it adds none.
    """
    if not reference.functional:
        return ""
    own, other = functional(theory.method), functional(reference.method)
    if not own:
        return f"the model's functional is not known; the reference is {reference.method}"
    if own != other:
        return f"the model stands for {theory.method}, the reference is {reference.method}"
    if WITHOUT_U in reference.method and "+U" in theory.method:
        return f"the model stands for {theory.method}, the reference is without U"
    found, known = ADDED if added else dispersion_of(theory), dispersion_of(_theory_of(reference))
    if UNKNOWN in (found, known) or _same_dispersion(found, known):
        return ""
    model, compared = _said(theory.method, found), _said(reference.method, known)
    return f"the model stands for {model}, the reference is {compared}"


def _theory_of(reference: Reference) -> Theory:
    return Theory(name="reference", method=reference.method)


def _same_dispersion(a: str, b: str) -> bool:
    """Where one of them states no damping, only the version counts: "D3" may be D3(BJ)."""
    a, b = (re.sub(r"\W", "", text).lower() for text in (a, b))
    return a.startswith(b) or b.startswith(a)


def _said(method: str, dispersion: str) -> str:
    name = _name(method)
    if dispersion == NONE:
        return f"{name} without dispersion"
    return name if dispersion.partition("(")[0] in name else f"{name} with {dispersion}"


def dispersion_to_add(theory: Theory) -> tuple[str | None, str]:
    """Which D3 parameters to add to a model, and a remark about it.

    Returns:
        name of the parameters in dftd3, or None to add nothing; and "D3(BJ) of PBE", or why there is none.
    """
    contained = dispersion_of(theory)
    if contained == UNKNOWN:
        return None, f"{NOT_ADDED}: it is not known whether the model contains dispersion"
    if contained != NONE:
        return None, f"{NOT_ADDED}: the model contains {contained}"
    name = _PARAMETERS.get(functional(theory.method))
    if name is None:
        return None, f"{NOT_ADDED}: there are no D3(BJ) parameters for {theory.method or 'this method'}"
    return name, f"{ADDED} of {_name(theory.method)}, two-body"


def with_dispersion(calculator: Calculator, parameters: str | None) -> Calculator:
    """A calculator with D3(BJ) added; itself where there is nothing to add."""
    if parameters is None:
        return calculator
    from dftd3.ase import DFTD3

    return SumCalculator([calculator, DFTD3(method=parameters, damping="d3bj")])

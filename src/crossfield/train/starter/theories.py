"""The level of theory of new data: stated, named, or described from what the frames say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crossfield.data.label_names import LabelNames, Line
from crossfield.errors import InputError, nearest
from crossfield.model.model import Model
from crossfield.theory import Theory, known_theories
from crossfield.train.starter.request import Request, free_name

UNKNOWN = "not stated"  # the method of a theory of which nothing is known
CHARGE, SPIN = "total charge (e)", "multiplicity 2S+1"


@dataclass(frozen=True)
class FoundTheory:
    """The theory of a new head."""

    theory: Theory
    described: bool  # whether it must be described in the configuration
    warnings: tuple[str, ...] = ()


def theory_name(request: Request, head: str, lines: Sequence[Line], base: Model | None) -> str:
    """The name of the theory: that asked for, that of a head of the base, that which all frames state.

    Raises:
        InputError: frames of several theories, and none is asked for; another one than that of the head.
    """
    own = next((h.theory.name for h in base.heads if h.name == head), None) if base else None
    if own is not None:
        if request.theory not in (None, own):
            raise InputError(
                f"--head {head} is a head of the base, and its theory is {own!r}, not {request.theory!r}: "
                "choose another name for the new head"
            )
        return own
    if request.theory is not None:
        return request.theory
    stated = Counter(filter(None, (line.info.get("theory", "").strip() for line in lines)))
    if len(stated) > 1:
        found = ", ".join(f"{name} ({count} frames)" for name, count in stated.most_common())
        raise InputError(f"the frames are of several theories, choose one with --theory: {found}")
    return next(iter(stated), free_name(head, _known(base)))


def find_theory(
    name: str, request: Request, lines: Sequence[Line], names: LabelNames, base: Model | None
) -> FoundTheory:
    """The theory of this name, as the base has it, as it is known, or described from the data.

    Args:
        name: of the theory.
        request: what is asked for; its method describes a theory that is not known.
        lines: comment lines of its frames.
        names: under which names these have their labels.
        base: the model to start from.

    Raises:
        InputError: a method for a theory that has one.
    """
    known = _known(base)
    if name in known:
        if request.method is not None:
            raise InputError(f"--method describes a theory of your own, and {name!r} is a known one")
        return FoundTheory(known[name], described=False)
    warnings = []
    if request.theory is not None and (hint := nearest(name, list(known))):
        warnings.append(f"theory {name!r} is not known{hint} It is described as one of your own")
    if request.method is None:
        warnings.append(
            f"nothing says what method theory {name} is: --method PBE-D3 (or what it is) says it, and lets "
            "dispersion be compared with that of the base"
        )
    charge = _meaning(lines, names.name("charge"), CHARGE, 0)
    spin = _meaning(lines, names.name("spin"), SPIN, 1)
    theory = Theory(
        name=name,
        method=request.method or UNKNOWN,
        charge=charge[0],
        default_charge=charge[1],
        spin=spin[0],
        default_spin=spin[1],
        inputs=base.heads[0].theory.inputs if base is not None and base.config.extra_inputs else {},
    )
    return FoundTheory(theory, described=True, warnings=tuple(warnings))


def _known(base: Model | None) -> Mapping[str, Theory]:
    own = {head.theory.name: head.theory for head in base.heads} if base is not None else {}
    return {**known_theories(), **own}


def _meaning(lines: Sequence[Line], key: str | None, meaning: str, neutral: int) -> tuple[str, int | None]:
    """What charge or spin means, and its default: none where it differs and all frames state it."""
    stated = [line.info[key] for line in lines if key is not None and key in line.info]
    if not stated:
        return "ignored", neutral
    values = set(map(_number, stated))
    if len(stated) < len(lines):
        return meaning, neutral
    if len(values) > 1:
        return meaning, None
    (value,) = values
    return meaning, neutral if value is None else value


def _number(text: str) -> int | None:
    """A whole number; what is none, the reader will complain of."""
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if value == value // 1 else None

"""From ASE's atoms to the graph that a model is asked about: what is read of a structure, and checked."""

from __future__ import annotations

from typing import Literal

import numpy as np
from ase import Atoms

from crossfield.errors import InputError
from crossfield.graph import Edges, Graph, build_graph
from crossfield.model.model import Model
from crossfield.theory import Head, check_elements, check_parity, head_index


def read_graph(atoms: Atoms, model: Model, head: Head, edges: Edges | None = None) -> Graph:
    """The graph of one structure for a head of a model.

    Args:
        atoms: the structure; charge, spin and further inputs are read from its `info`.
        model: the model.
        head: the head.
        edges: as `neighbour_list` gives them for this structure and the model's cutoff; None: they are found.

    Raises:
        InputError: see `crossfield.Potential.predict`.
    """
    check_elements(atoms.numbers.tolist(), sorted(head.E0), f"head {head.name!r}")
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        raise InputError("positions or cell contain NaN or infinity")
    charge = _input("charge", atoms, model, head)
    spin = _input("spin", atoms, model, head)
    config = model.config
    extra = {
        name: head.theory.input_value(
            name, _number(atoms.info[name]) if name in atoms.info else None, where=f"atoms.info[{name!r}]"
        )
        for name in config.extra_inputs
    }
    config.check_inputs(charge=charge, spin=spin, extra=extra)
    if head.theory.spin != "ignored" and {"charge", "spin"} <= set(atoms.info) and not atoms.pbc.any():
        check_parity(int(atoms.numbers.sum()), int(charge), int(spin))
    return build_graph(
        atoms.numbers,
        atoms.positions,
        atoms.cell.array,
        atoms.pbc,
        cutoff=config.cutoff,
        head=head_index(model.heads, head.name),
        charge=charge,
        spin=spin,
        extra=[extra[name] for name in config.extra_inputs],
        edges=edges,
    )


def inputs_of(atoms: Atoms, model: Model) -> tuple[float | None, ...]:
    """The numbers of a structure that are read from its `info`; None for those that are not given."""
    names = ("charge", "spin", *model.config.extra_inputs)
    return tuple(_number(atoms.info[name]) if name in atoms.info else None for name in names)


def _input(name: Literal["charge", "spin"], atoms: Atoms, model: Model, head: Head) -> float:
    default = getattr(head.theory, f"default_{name}")
    value = atoms.info.get(name, default)
    ignored = getattr(head.theory, name) == "ignored" and default is not None
    if ignored and value != default and name in model.config.inputs:
        raise InputError(
            f"head {head.name!r} only knows structures of {name} {default} (theory {head.theory.name!r} "
            f"ignores it), not {value!r}: ask another head, or remove info[{name!r}]"
        )
    if value is None:
        if name not in model.config.inputs:
            return float(name == "spin")  # never read by the model
        raise InputError(
            f"theory {head.theory.name!r} needs the {name} of every structure: set atoms.info[{name!r}]"
        )
    number = _number(value)
    if not number.is_integer() or (name == "spin" and number < 1):
        raise InputError(f"{name} = {value!r} is not a whole number{' from 1' if name == 'spin' else ''}")
    return number


def _number(value: object) -> float:
    """A number given in `info`; NaN, which every check refuses, if it is none."""
    try:
        return float(value)  # type: ignore[arg-type]  # that is what is tried
    except (TypeError, ValueError):
        return float("nan")

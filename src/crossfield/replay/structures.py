"""Frames as a model is asked about them: never about what it cannot read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from crossfield.data.batch import frame_graph
from crossfield.data.frame import Frame
from crossfield.errors import InputError
from crossfield.graph import Graph
from crossfield.model.model import Model
from crossfield.theory import Head, check_elements, check_parity, head_index

LARGEST = 20_000  # atoms; a model cannot be trained on more at once


def inputs_of(frame: Frame, model: Model, head: Head) -> dict[str, float]:
    """What a frame states besides charge and spin, and the theory's defaults for what the model reads.

    Raises:
        InputError: a number that is not stated and has no default.
    """
    wanted = {
        name: head.theory.input_value(name, frame.inputs.get(name), where=f"{name} of the frame")
        for name in model.config.extra_inputs
    }
    return {**frame.inputs, **wanted}


def check_frame(
    frame: Frame, model: Model, head: Head, *, elements: Sequence[int] | None = None, what: str = ""
) -> None:
    """Check that a head can answer for a frame, before the work begins.

    Args:
        frame: the structure.
        model, head: what is asked.
        elements: atomic numbers that are covered; None: those for which the head has reference energies.
        what: by what they are covered, for the message; empty: by the head.

    Raises:
        InputError: naming file and frame: too many atoms, an element, a charge, spin or input that cannot be
            read, or that the theory of the head ignores.
    """
    try:
        if not 0 < frame.num_atoms <= LARGEST:
            raise InputError(f"{frame.num_atoms} atoms; from 1 to {LARGEST:,} can be used")
        covered = sorted(head.E0) if elements is None else elements
        check_elements(frame.Z.tolist(), covered, what or f"head {head.name!r}")
        for name in ("charge", "spin"):
            _check_not_ignored(name, frame, head)
        if head.theory.spin != "ignored" and not frame.pbc.any():
            check_parity(int(frame.Z.sum()), frame.charge, frame.spin)
        model.config.check_inputs(charge=frame.charge, spin=frame.spin, extra=inputs_of(frame, model, head))
    except InputError as error:
        raise InputError(error.message, file=frame.file, frame=frame.index) from error


def _check_not_ignored(name: Literal["charge", "spin"], frame: Frame, head: Head) -> None:
    """A theory without charges would give an ion the energy of the neutral structure."""
    theory = head.theory
    if getattr(theory, name) != "ignored":
        return
    neutral = 0 if name == "charge" else 1
    default = getattr(theory, f"default_{name}")
    usual = neutral if default is None else default
    if (value := getattr(frame, name)) != usual:
        raise InputError(
            f"head {head.name!r} only knows {name} {usual}, not {value} (theory {theory.name!r} "
            f"ignores it): leave the frame out, ask another head, or leave the {name} unread"
        )


def graph_of(
    frame: Frame, model: Model, head: Head, *, elements: Sequence[int] | None = None, what: str = ""
) -> Graph:
    """The graph of a frame for a head, checked; arguments and errors as in `check_frame`."""
    check_frame(frame, model, head, elements=elements, what=what)
    whole = replace(frame, inputs=inputs_of(frame, model, head))
    return frame_graph(
        whole, head_index(model.heads, head.name), model.config.cutoff, model.config.extra_inputs
    )

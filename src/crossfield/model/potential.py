"""A model ready to answer questions about structures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray

from crossfield.errors import InputError
from crossfield.graph import Graph, build_graph, collate
from crossfield.model.derivatives import Prediction, evaluate
from crossfield.model.model import Model
from crossfield.theory import Head, check_elements, check_parity, head_index

AUTO_BYTES = 1 << 30  # memory that one batch of `predict` may take, roughly


@dataclass(frozen=True)
class Result:
    """The prediction for one structure of N atoms, by one head."""

    head: str
    energy: float  # eV
    energies: NDArray[np.float64]  # (N,) eV, per atom
    forces: NDArray[np.float64] | None  # (N, 3) eV/Å
    stress: NDArray[np.float64] | None  # (3, 3) eV/Å^3, tensile positive; None without three periodic axes


class Potential:
    """A model with everything needed to evaluate structures.

    Args:
        model: the model, on its device and in its precision.
        head: the head that answers where none is named; None: the only one, or it is named in each call.

    Raises:
        InputError: the model has no such head.
    """

    backend = "reference"

    def __init__(self, model: Model, head: str | None = None) -> None:
        self.model = model.eval().requires_grad_(False)
        self.head = self.heads[head_index(model.heads, head)] if head is not None else None
        if head is None and len(model.heads) == 1:
            self.head = self.heads[0]

    def __repr__(self) -> str:
        return (
            f"Potential(heads={self.heads}, head={self.head!r}, elements={len(self.elements)}, "
            f"cutoff={self.cutoff:g}, dtype={str(self.model.dtype)[6:]}, device='{self.model.device}')"
        )

    @property
    def heads(self) -> list[str]:
        """Names of the heads."""
        return [head.name for head in self.model.heads]

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers that the backbone knows; a head may have reference energies for fewer."""
        return self.model.config.elements

    @property
    def cutoff(self) -> float:
        """Longest edge, Å."""
        return self.model.config.cutoff

    @property
    def edges_at_once(self) -> int:
        """Edges of a batch that takes about 1 GiB, with forces and stress."""
        c = self.model.config
        channels = c.edge_channels or c.channels
        per_edge = 8 * (c.l_max + 1) ** 3 * channels * torch.finfo(self.model.dtype).bits // 8
        return AUTO_BYTES // per_edge

    def theory_head(self, name: str | None = None) -> Head:
        """The head of this name, or the default one, with its theory and reference energies."""
        return self.model.heads[head_index(self.model.heads, name if name is not None else self.head)]

    def predict(
        self,
        structures: Sequence[Atoms] | Atoms,
        *,
        head: str | None = None,
        batch_size: int | Literal["auto"] = "auto",
        forces: bool = True,
        stress: bool = True,
    ) -> list[Result]:
        """Energy, energies per atom, forces and stress of structures.

        Args:
            structures: ASE atoms. Total charge (e) and multiplicity (2S+1) are read from `info["charge"]` and
                `info["spin"]`, or are the defaults of the head's theory.
            head: which head answers; None: the default one.
            batch_size: structures evaluated at once; "auto": as many as fit in about 1 GiB.
            forces, stress: what to compute besides the energy.

        Returns:
            One result per structure, in order.

        Raises:
            InputError: unknown head, an element without a reference energy in this head, a charge or spin
                that must be stated and is not, or that the model cannot read, NaN positions, or atoms at
                the same place.
        """
        if isinstance(structures, Atoms):
            structures = [structures]
        chosen = self.theory_head(head)
        graphs = [self._checked(atoms, chosen, i, len(structures)) for i, atoms in enumerate(structures)]
        results: list[Result] = []
        for part in self._batches(graphs, batch_size):
            batch = collate(part).to(self.model.device)
            prediction = evaluate(self.model, batch, forces=forces, stress=stress)
            results += _split(prediction, batch, chosen.name)
        return results

    def graph(self, atoms: Atoms, head: str | None = None) -> Graph:
        """The graph of one structure for a head; see `predict` for what is read and checked."""
        chosen = self.theory_head(head)
        check_elements(atoms.numbers.tolist(), sorted(chosen.E0), f"head {chosen.name!r}")
        if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
            raise InputError("positions or cell contain NaN or infinity")
        charge = self._input("charge", atoms, chosen, chosen.theory.default_charge)
        spin = self._input("spin", atoms, chosen, chosen.theory.default_spin)
        config = self.model.config
        extra = {name: _number(atoms.info[name]) for name in config.extra_inputs if name in atoms.info}
        config.check_inputs(charge=charge, spin=spin, extra=extra)
        if chosen.theory.spin != "ignored" and {"charge", "spin"} <= set(atoms.info) and not atoms.pbc.any():
            check_parity(int(atoms.numbers.sum()), int(charge), int(spin))
        return build_graph(
            atoms.numbers,
            atoms.positions,
            atoms.cell.array,
            atoms.pbc,
            cutoff=self.cutoff,
            head=head_index(self.model.heads, chosen.name),
            charge=charge,
            spin=spin,
            extra=[extra[name] for name in config.extra_inputs],
        )

    def _checked(self, atoms: Atoms, head: Head, index: int, total: int) -> Graph:
        try:
            return self.graph(atoms, head.name)
        except InputError as error:
            raise InputError(error.message, frame=index if total > 1 else None) from error

    def _input(self, name: Literal["charge", "spin"], atoms: Atoms, head: Head, default: int | None) -> float:
        value = atoms.info.get(name, default)
        ignored = getattr(head.theory, name) == "ignored" and default is not None
        if ignored and value != default and name in self.model.config.inputs:
            raise InputError(
                f"head {head.name!r} only knows structures of {name} {default} (theory {head.theory.name!r} "
                f"ignores it), not {value!r}: ask another head, or remove info[{name!r}]"
            )
        if value is None:
            if name not in self.model.config.inputs:
                return float(name == "spin")  # never read by the model
            raise InputError(
                f"theory {head.theory.name!r} needs the {name} of every structure: set atoms.info[{name!r}]"
            )
        number = _number(value)
        if not number.is_integer() or (name == "spin" and number < 1):
            raise InputError(f"{name} = {value!r} is not a whole number{' from 1' if name == 'spin' else ''}")
        return number

    def _batches(self, graphs: list[Graph], batch_size: int | Literal["auto"]) -> Iterator[list[Graph]]:
        if batch_size != "auto":
            if batch_size < 1:
                raise InputError(f"batch_size must be at least 1, not {batch_size}")
            for start in range(0, len(graphs), batch_size):
                yield graphs[start : start + batch_size]
            return
        part: list[Graph] = []
        for graph in graphs:
            if part and sum(g.num_edges for g in part) + graph.num_edges > self.edges_at_once:
                yield part
                part = []
            part.append(graph)
        if part:
            yield part


def _number(value: object) -> float:
    """A number given in `info`; NaN, which every check refuses, if it is none."""
    try:
        return float(value)  # type: ignore[arg-type]  # that is what is tried
    except (TypeError, ValueError):
        return float("nan")


def _split(prediction: Prediction, batch: Graph, head: str) -> list[Result]:
    sizes = torch.bincount(batch.structure, minlength=batch.num_structures).tolist()
    energies = prediction.energies.cpu().split(sizes)
    forces = prediction.forces.cpu().split(sizes) if prediction.forces is not None else None
    stress = prediction.stress.cpu() if prediction.stress is not None else None
    return [
        Result(
            head=head,
            energy=float(prediction.energy[i]),
            energies=energies[i].numpy(),
            forces=forces[i].numpy() if forces is not None else None,
            stress=stress[i].numpy() if stress is not None and bool(batch.periodic[i]) else None,
        )
        for i in range(batch.num_structures)
    ]

"""A model ready to answer questions about structures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from torch import Tensor

from crossfield.errors import InputError
from crossfield.graph import Edges, Graph, collate
from crossfield.inference.prepared import ACCURACY, Prepared
from crossfield.inference.read import read_graph
from crossfield.inference.results import Evaluated, Result, split
from crossfield.kernels.backend import Backend, choose, use
from crossfield.model.derivatives import Prediction, assemble, evaluate, hessian
from crossfield.model.model import Model
from crossfield.theory import Head, head_index

__all__ = ["Potential", "Result"]

AUTO_BYTES = 1 << 30  # memory that one batch of `predict` may take, roughly


class TableCheck(NamedTuple):
    """Largest deviations of a structure that tables of radial functions cause."""

    energy: float  # eV/atom
    force: float  # eV/Å


class Potential:
    """A model with everything needed to evaluate structures.

    Args:
        model: the model, on its device and in its precision.
        head: the head that answers where none is named; None: the model's default or only one, or else it is
            named in each call.
        backend: what computes. "reference": plain torch; "numba": kernels compiled for the CPU; "triton":
            kernels for a GPU; "auto": the fastest that has been run on such a device.
        table_accuracy: compiled kernels take radial functions from tables that are this exact in energy,
            eV/atom (`check_tables` says how exact they are for a structure); None: they evaluate them, which
            is exact to round-off and slower. The reference back end has no tables.

    Raises:
        InputError: the model has no such head, or the back end does not run on its device.
    """

    def __init__(
        self,
        model: Model,
        head: str | None = None,
        *,
        backend: str = "auto",
        table_accuracy: float | None = ACCURACY,
    ) -> None:
        if table_accuracy is not None and not table_accuracy > 0:
            raise InputError(f"table_accuracy must be a positive number of eV/atom, not {table_accuracy}")
        self.model = model.eval().requires_grad_(False)
        self.backend: Backend = choose(backend, model.device)
        self.table_accuracy = table_accuracy
        use(self.model, self.backend)
        self._prepared = self._new_prepared()
        chosen = head or model.default_head
        self.head = model.heads[head_index(model.heads, chosen)].name if chosen else None
        if self.head is None and len(model.heads) == 1:
            self.head = model.heads[0].name

    def __repr__(self) -> str:
        return (
            f"Potential(heads={self.heads}, head={self.head!r}, elements={len(self.elements)}, "
            f"cutoff={self.cutoff:g}, dtype={str(self.model.dtype)[6:]}, device='{self.model.device}', "
            f"backend={self.backend!r})"
        )

    def __getstate__(self) -> dict[str, Any]:
        """For copies and other processes, which prepare their own."""
        return {**self.__dict__, "_prepared": None}

    def _new_prepared(self) -> Prepared | None:
        if self.backend == "reference":
            return None
        return Prepared(self.model, self.table_accuracy, self.backend)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepared = self._new_prepared()

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
        edge_forces: bool = False,
        atomic_stress: bool = False,
    ) -> list[Result]:
        """Energy, energies per atom, forces and stress of structures, and what these are sums of.

        Args:
            structures: ASE atoms. Total charge (e), multiplicity (2S+1) and any further number that the model
                reads are read from `info["charge"]`, `info["spin"]` and `info[NAME]`, or are the defaults of
                the head's theory.
            head: which head answers; None: the default one.
            batch_size: structures evaluated at once; "auto": as many as fit in about 1 GiB.
            forces, stress: what to compute besides the energy.
            edge_forces: whether results have `edges`, the derivative of the energy by every edge vector.
            atomic_stress: whether results have `atomic_stress`: half of each edge's part of the stress to
                each of its two atoms.

        Returns:
            One result per structure, in order.

        Raises:
            InputError: unknown head, an element without a reference energy in this head, a charge, spin or
                other input that must be stated and is not, or that the model cannot read, NaN positions, or
                atoms at the same place.
        """
        if isinstance(structures, Atoms):
            structures = [structures]
        chosen = self.theory_head(head)
        graphs = [self._checked(atoms, chosen, i, len(structures)) for i, atoms in enumerate(structures)]
        return self.predict_graphs(
            graphs,
            chosen.name,
            batch_size=batch_size,
            forces=forces,
            stress=stress,
            edge_forces=edge_forces,
            atomic_stress=atomic_stress,
        )

    def predict_graphs(
        self,
        graphs: Sequence[Graph],
        head: str,
        *,
        batch_size: int | Literal["auto"] = "auto",
        forces: bool = True,
        stress: bool = True,
        edge_forces: bool = False,
        atomic_stress: bool = False,
    ) -> list[Result]:
        """What `predict` does, of graphs made by `graph` before.

        Args:
            graphs: one per structure, all made for one head.
            head: the name of that head, for the results.
            batch_size, forces, stress, edge_forces, atomic_stress: as in `predict`.

        Returns:
            One result per graph, in order.
        """
        results: list[Result] = []
        if graphs:
            self.expect(torch.cat([graph.Z for graph in graphs]).cpu().numpy())
        for part in self.in_batches(graphs, batch_size):
            batch = collate(part).to(self.model.device)
            prediction = self.evaluate(
                batch, forces=forces, stress=stress, edge_forces=edge_forces, atomic_stress=atomic_stress
            )
            results += split(prediction, batch, head)
        return results

    @property
    def in_steps(self) -> bool:
        """Whether a structure that moves can be evaluated in whole steps on the device; see `Stepper`."""
        return self.backend == "triton" and self.table_accuracy is not None

    @property
    def prepared(self) -> Prepared | None:
        """What is ready for evaluation; None with the reference back end."""
        return self._prepared

    def expect(self, Z: NDArray[np.integer]) -> None:
        """Announce atoms that will be asked about, so that tables are made once for all their elements.

        Args:
            Z: (N,) their atomic numbers.
        """
        if self._prepared is not None:
            self._prepared.expect(torch.as_tensor(Z))

    def evaluate(
        self,
        graph: Graph,
        *,
        forces: bool = True,
        stress: bool = True,
        edge_forces: bool = False,
        atomic_stress: bool = False,
    ) -> Prediction:
        """Evaluate graphs made before, as tensors: the inside of `predict`.

        Args:
            graph: structures for one head, on the model's device.
            forces, stress, edge_forces, atomic_stress: which derivatives to form, as in `predict`.

        Raises:
            InputError: structures for several heads at once.
        """
        wanted = {
            "forces": forces,
            "stress": stress,
            "edge_forces": edge_forces,
            "atomic_stress": atomic_stress,
        }
        if self._prepared is None:
            return evaluate(self._with_back_end(), graph, **wanted)
        if len(graph.head.unique()) > 1:
            raise InputError("structures of several heads need one call for each head")
        graph.check_edges()
        r = graph.vectors()
        found = self._prepared.evaluate(graph, r, gradient=any(wanted.values()))
        return self._assemble(graph, r, found, **wanted)

    def check_tables(self, atoms: Atoms, *, head: str | None = None) -> TableCheck:
        """How far tables of radial functions lead from exact evaluation, for one structure.

        Both are evaluated in the model's precision, so that the round-off of float32 is part of it.

        Raises:
            InputError: as `predict`, not one structure, or a back end without tables.
        """
        if self._prepared is None:
            raise InputError("the reference back end has no tables: it evaluates radial functions exactly")
        graph = self._single(atoms, head)
        r = graph.vectors()
        found = [self._prepared.evaluate(graph, r, exact=exact) for exact in (False, True)]
        energy, force = 0.0, 0.0
        if graph.num_atoms:
            a, b = (self._assemble(graph, r, x, forces=True, stress=False) for x in found)
            assert a.forces is not None
            assert b.forces is not None
            energy = float((a.energy - b.energy).abs()) / graph.num_atoms
            force = float((a.forces - b.forces).abs().max())
        return TableCheck(energy, force)

    def _with_back_end(self) -> Model:
        """The model, which another potential may have set otherwise."""
        use(self.model, self.backend)
        return self.model

    def _assemble(
        self,
        graph: Graph,
        r: Tensor,
        found: Evaluated,
        *,
        forces: bool,
        stress: bool,
        edge_forces: bool = False,
        atomic_stress: bool = False,
    ) -> Prediction:
        g = r.new_zeros(0, 3) if found.gradient is None else found.gradient
        return assemble(
            graph,
            found.energies,
            r,
            g,
            forces=forces,
            stress=stress,
            edge_forces=edge_forces,
            atomic_stress=atomic_stress,
        )

    def hessian(self, atoms: Atoms, *, head: str | None = None) -> NDArray[np.float64]:
        """Second derivatives of the energy by the positions of the N atoms of one structure.

        The images of a periodic structure move with their atoms, and the cell stays. A model in float64
        gives them to round-off, one in float32 to about five digits.

        Args:
            atoms: one structure, read as `predict` does.
            head: which head answers; None: the default one.

        Returns:
            (3N, 3N) eV/Å^2, row and column 3 i + axis for atom i.

        Raises:
            InputError: as `predict`, or not one structure.
        """
        return hessian(self._with_back_end(), self._single(atoms, head)).cpu().numpy()

    def descriptors(
        self,
        atoms: Atoms,
        *,
        head: str | None = None,
        layers: int | Sequence[int] | None = None,
        invariants_only: bool = True,
    ) -> NDArray[np.floating[Any]]:
        """Features of the N atoms of one structure, as the layers of the model put them out.

        Args:
            atoms: one structure, read as `predict` does.
            head: for whose elements and theory the structure is checked; None: the default one. The features
                are the same for all heads, unless these differ in the charge or spin that they assume.
            layers: index of a layer, from 0, or several in the order wanted; None: all.
            invariants_only: only the features of l = 0, which no rotation changes.

        Returns:
            (N, D), in the model's precision. Layer after layer, l after l, channels slow and the components
            m fast, in the order of e3nn's real harmonics: the layout of mace-torch's `get_descriptors`. A
            layer has C channels (`config.channels`) for every l up to `config.hidden_L(layer)`.

        Raises:
            InputError: as `predict`, not one structure, or no such layer.
        """
        chosen = self._layers(layers)
        graph = self._single(atoms, head)
        with torch.no_grad():
            features = self._with_back_end()(graph, graph.vectors()).features
        last = 1 if invariants_only else None
        parts = [x.transpose(1, 2).flatten(1) for i in chosen for x in features[i][:last]]
        return torch.cat(parts, dim=1).cpu().numpy()

    def graph(self, atoms: Atoms, head: str | None = None, *, edges: Edges | None = None) -> Graph:
        """The graph of one structure for a head; see `predict` for what is read and checked.

        Whoever has the edges already, as `neighbour_list` gives them for this structure and `cutoff`, may
        pass them.
        """
        return read_graph(atoms, self.model, self.theory_head(head), edges)

    def _single(self, atoms: Atoms, head: str | None) -> Graph:
        if not isinstance(atoms, Atoms):
            raise InputError(f"this is of one structure, an ase.Atoms, not a {type(atoms).__name__}")
        return self.graph(atoms, head).to(self.model.device)

    def _layers(self, layers: int | Sequence[int] | None) -> list[int]:
        there = range(self.model.config.layers)
        if layers is None:
            return list(there)
        given: list[object] = list(layers) if isinstance(layers, Iterable) else [layers]
        chosen = [int(i) for i in given if isinstance(i, int | np.integer) and not isinstance(i, bool)]
        if not given or len(chosen) < len(given) or not set(chosen) <= set(there):
            raise InputError(f"layers = {layers!r}: this model has {', '.join(map(str, there))}")
        return chosen

    def _checked(self, atoms: Atoms, head: Head, index: int, total: int) -> Graph:
        try:
            return self.graph(atoms, head.name)
        except InputError as error:
            raise InputError(error.message, frame=index if total > 1 else None) from error

    def in_batches(
        self, graphs: Sequence[Graph], batch_size: int | Literal["auto"] = "auto"
    ) -> Iterator[list[Graph]]:
        """Graphs in their order, so many at a time; "auto": as many as fit in about 1 GiB, at least one."""
        if batch_size != "auto":
            if batch_size < 1:
                raise InputError(f"batch_size must be at least 1, not {batch_size}")
            for start in range(0, len(graphs), batch_size):
                yield list(graphs[start : start + batch_size])
            return
        part: list[Graph] = []
        for graph in graphs:
            if part and sum(g.num_edges for g in part) + graph.num_edges > self.edges_at_once:
                yield part
                part = []
            part.append(graph)
        if part:
            yield part

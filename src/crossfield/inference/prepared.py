"""A model prepared for evaluation: plans for heads, with tables for the elements and distances that come."""

from __future__ import annotations

import threading

import torch
from torch import Tensor

from crossfield.graph import Graph
from crossfield.inference import tables
from crossfield.inference.freeze import Frozen
from crossfield.inference.plan import Evaluated, Plan
from crossfield.inference.tables import Tables
from crossfield.kernels.native.build import host
from crossfield.model import Model

ACCURACY = 1e-6  # eV/atom, by default
# of radial functions, relative to their largest value, for every eV/atom
TOLERANCE = 10.0


class Prepared:
    """Evaluates structures, and makes what it needs for that when it is first needed.

    What comes out does not depend on what was evaluated before: tables have the same knots for all elements.

    Args:
        model: the model, on the CPU.
        accuracy: of tables, eV/atom; None: radial functions are evaluated for every edge.
    """

    def __init__(self, model: Model, accuracy: float | None) -> None:
        self.model, self.accuracy = model, accuracy
        self._elements: set[int] = set()
        self._step = 0.0  # Å; of the tables, once it is known
        self._start = tables.START
        self._tables: Tables | None = None
        self._plans: dict[tuple[int, bool], Plan] = {}  # by head, and whether without tables
        self._lock = threading.Lock()

    def evaluate(self, graph: Graph, r: Tensor, *, gradient: bool = True, exact: bool = False) -> Evaluated:
        """Energies of atoms, and their derivatives by edge vectors.

        Args:
            graph: structures for one head, on the CPU.
            r: (E, 3) edge vectors, Å, float64.
            gradient: whether to find the derivatives.
            exact: whether to do without tables.
        """
        if not graph.num_atoms:
            return Evaluated(r.new_zeros(0), r.new_zeros(0, 3) if gradient else None)
        head = int(graph.head[0])
        shortest = float(torch.linalg.vector_norm(r, dim=1).min()) if len(r) else self._start
        exact = exact or self.accuracy is None or shortest < tables.CLOSEST
        with self._lock:
            plan = self._plan(graph, head, shortest, exact)
        return plan.evaluate(graph, r, gradient=gradient)

    def _plan(self, graph: Graph, head: int, shortest: float, exact: bool) -> Plan:
        wanted = set(self.model.element_of[graph.Z].unique().tolist())
        if not wanted <= self._elements:
            self._elements |= wanted
            self._plans.clear()
            self._tables = None
        if not exact and shortest < self._start:
            self._start = max(tables.CLOSEST, 0.8 * shortest)
            self._tables = None
            self._plans = {key: plan for key, plan in self._plans.items() if plan.radial is None}
        if (head, exact) not in self._plans:
            frozen = Frozen(self.model, head, sorted(self._elements))
            radial = None if exact else self._radial(frozen)
            self._plans[head, exact] = Plan(frozen, self.model.dtype, radial)
        return self._plans[head, exact]

    def _radial(self, frozen: Frozen) -> Tables:
        assert self.accuracy is not None
        tolerance = self.accuracy * TOLERANCE
        if not self._step:
            ends = sorted({0, len(self.model.config.elements) - 1})
            self._step = tables.step_for(Frozen(self.model, frozen.head, ends), tolerance)
        if self._tables is None:
            lanes = host().machine.vector_bytes // self.model.dtype.itemsize
            self._tables = tables.build(
                frozen, start=self._start, step=self._step, lanes=lanes, dtype=self.model.dtype
            )
        return self._tables

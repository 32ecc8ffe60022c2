"""A model prepared for evaluation: plans for heads, with tables for the elements and distances that come."""

from __future__ import annotations

import threading

import torch
from torch import Tensor

from crossfield.errors import InputError
from crossfield.graph import Graph
from crossfield.inference import tables
from crossfield.inference.freeze import Frozen
from crossfield.inference.plan import Evaluated, Memory, Plan
from crossfield.inference.tables import Tables
from crossfield.messages import say
from crossfield.model import Model

ACCURACY = 1e-6  # eV/atom, by default
# of radial functions, relative to their largest value, for every eV/atom
TOLERANCE = 3.5
MANY = 100  # ordered pairs of elements, whose tables take seconds and are announced
SAMPLE = 8  # elements, spread over those of the model, that the distance of knots is chosen for


class Prepared:
    """Evaluates structures, and makes what it needs for that when it is first needed.

    Tables have the same knots for all elements, so that what comes out does not depend on what was evaluated
    before, but for digits beyond the accuracy. A model that has been changed or moved is prepared anew.

    Args:
        model: the model, on the CPU.
        accuracy: of tables, eV/atom; None: radial functions are evaluated for every edge.
    """

    def __init__(self, model: Model, accuracy: float | None) -> None:
        self.model, self.accuracy = model, accuracy
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        """Forget everything but the model."""
        self._parameters = list(self.model.parameters())
        self._state = self._state_of_model()
        self._elements: tuple[int, ...] = ()
        self._expected: set[int] = set()  # that will be needed
        self._step = 0.0  # Å; of the tables, once it is known
        self._start = tables.START
        self._tables: Tables | None = None
        self._plans: dict[tuple[int, bool], Plan] = {}  # by head, and whether without tables
        self._memory = Memory(self.model.dtype)

    def _state_of_model(self) -> list[tuple[int, int]]:
        """What changes when a parameter does, or when its memory or precision does."""
        return [(p.data_ptr(), p._version) for p in self._parameters]

    def expect(self, Z: Tensor) -> None:
        """Announce atoms (N,) that will be asked about: tables are made once for all their elements."""
        indices = self.model.element_of[Z].unique().tolist()
        with self._lock:
            self._expected |= {index for index in indices if index >= 0}

    def evaluate(self, graph: Graph, r: Tensor, *, gradient: bool = True, exact: bool = False) -> Evaluated:
        """Energies of atoms, and their derivatives by edge vectors.

        Args:
            graph: structures for one head, on the CPU; its edges have been checked.
            r: (E, 3) edge vectors, Å, float64.
            gradient: whether to find the derivatives.
            exact: whether to do without tables.

        Raises:
            InputError: elements outside the model.
        """
        if not graph.num_atoms:
            return Evaluated(r.new_zeros(0), r.new_zeros(0, 3) if gradient else None)
        head = int(graph.head[0])
        shortest = float(torch.linalg.vector_norm(r, dim=1).min()) if len(r) else self._start
        exact = exact or self.accuracy is None or shortest < tables.CLOSEST
        with self._lock:
            if self._state != self._state_of_model():
                self._begin()
            plan = self._plan(graph, head, shortest, exact)
            return plan.evaluate(graph, r, self._memory, gradient=gradient)

    def _plan(self, graph: Graph, head: int, shortest: float, exact: bool) -> Plan:
        wanted = set(self.model.element_of[graph.Z].unique().tolist())
        if min(wanted) < 0:
            raise InputError("there are elements outside the model")
        if not exact and shortest < self._start:
            self._start = max(tables.CLOSEST, 0.8 * shortest)
            self._use(self._elements)
        if not wanted <= set(self._elements):
            together = wanted | self._expected | set(self._elements)
            kept = self._elements
            self._use(tuple(sorted(together if exact or self._fits(head, together) else wanted)))
            try:
                return self._made(head, exact)
            except InputError:
                self._use(kept)
                raise
        return self._made(head, exact)

    def _made(self, head: int, exact: bool) -> Plan:
        if (head, exact) not in self._plans:
            frozen = Frozen(self.model, head, self._elements)
            radial = None if exact else self._radial(frozen)
            self._plans[head, exact] = Plan(frozen, self.model.dtype, radial)
        return self._plans[head, exact]

    def _use(self, elements: tuple[int, ...]) -> None:
        self._elements, self._tables = elements, None
        self._plans.clear()

    def _fits(self, head: int, elements: set[int]) -> bool:
        """Whether tables of these elements are not too large."""
        return tables.size(self.model, len(elements), self._start, self._step_for(head)) <= tables.LARGEST

    def _step_for(self, head: int) -> float:
        assert self.accuracy is not None
        if not self._step:
            last = len(self.model.config.elements) - 1
            some = sorted({last * k // (SAMPLE - 1) for k in range(SAMPLE)})
            self._step = tables.step_for(Frozen(self.model, head, some), self.accuracy * TOLERANCE)
        return self._step

    def _radial(self, frozen: Frozen) -> Tables:
        """Tables that are exact enough for the elements at hand, too."""
        assert self.accuracy is not None
        while self._tables is None:
            step = self._step_for(frozen.head)
            if (pairs := len(frozen.elements) ** 2) >= MANY:
                say(f"making tables of radial functions for {pairs} pairs of elements")
            made = tables.build(frozen, start=self._start, step=step, dtype=self.model.dtype)
            if made.error <= self.accuracy * TOLERANCE:
                self._tables = made
            elif step <= (frozen.config.cutoff - tables.START) / tables.INTERVALS[-1]:
                say(f"tables of radial functions are exact to {made.error / TOLERANCE:.0e} eV/atom only")
                self._tables = made
            else:
                self._step = 0.5 * step
        return self._tables

"""A model prepared for evaluation: plans for heads, with tables for the elements and distances that come."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from typing import Protocol

import torch
from torch import Tensor

from crossfield.errors import InputError
from crossfield.graph import Graph
from crossfield.inference import tables
from crossfield.inference.freeze import Frozen
from crossfield.inference.memory import Memory
from crossfield.inference.plan import Plan
from crossfield.inference.results import Evaluated
from crossfield.inference.tables import Tables
from crossfield.kernels.backend import Backend
from crossfield.messages import say
from crossfield.model import Model

ACCURACY = 1e-6  # eV/atom, by default
# of radial functions, relative to their largest value, for every eV/atom
TOLERANCE = 3.5
MANY = 100  # ordered pairs of elements, whose tables take seconds and are announced
SAMPLE = 8  # elements, spread over those of the model, that the distance of knots is chosen for


TOGETHER = 8  # elements that come one after the other and share tables; more are rarely used in turn
KEPT = 8  # sets of elements that are prepared at a time


class AnyPlan(Protocol):
    """What evaluates structures, whatever runs it."""

    def evaluate(self, graph: Graph, r: Tensor, memory: Memory, *, gradient: bool = True) -> Evaluated:
        """Energies of atoms, and their derivatives by edge vectors; see `Plan.evaluate`."""


class _Set:
    """What is prepared for some elements."""

    def __init__(self, elements: Iterable[int]) -> None:
        self.elements = tuple(sorted(elements))  # indices among those of the model
        self.tables: Tables | None = None
        self.plans: dict[tuple[int, bool], AnyPlan] = {}  # by head, and whether without tables

    def covers(self, elements: Collection[int]) -> bool:
        return set(elements) <= set(self.elements)


class Prepared:
    """Evaluates structures, and makes what it needs for that when it is first needed.

    Tables have the same knots for all elements, so that what comes out does not depend on what was evaluated
    before, but for digits beyond the accuracy. A model that has been changed or moved is prepared anew.

    Elements that come one after the other share tables while they are few. Who goes through many, crystal by
    crystal, gets tables for each, and those of the last are kept.

    Args:
        model: the model.
        accuracy: of tables, eV/atom; None: radial functions are evaluated for every edge.
        backend: that plans are for.
    """

    def __init__(self, model: Model, accuracy: float | None, backend: Backend) -> None:
        self.model, self.accuracy, self.backend = model, accuracy, backend
        self._form = tables.POLYNOMIALS if backend == "triton" else tables.BASIS_SPLINES
        self._lock = threading.Lock()
        self._version = 0
        self._begin()

    def _begin(self) -> None:
        """Forget everything but the model."""
        self._version += 1
        self._parameters = list(self.model.parameters())
        self._state = self._state_of_model()
        self._expected: set[int] = set()  # elements that will be needed, and that nothing is prepared for
        self._step = 0.0  # Å; of the tables, once it is known
        self._start = tables.START
        self._sets: list[_Set] = []  # the one that was used last comes first
        self._memory = Memory(self.model.dtype, self.model.device)

    def _state_of_model(self) -> list[tuple[int, int]]:
        """What changes when a parameter does, or a constant of a head, or their memory or precision."""
        constants = (self.model.E0, self.model.scale, self.model.shift)
        return [(x.data_ptr(), x._version) for x in (*self._parameters, *constants)]

    def _notice_changes(self) -> None:
        """Begin anew if the model is no longer the one that was prepared."""
        if self._state != self._state_of_model():
            self._begin()

    def version(self) -> int:
        """Changes when the model does: plans from before are no longer of it."""
        with self._lock:
            self._notice_changes()
            return self._version

    def expect(self, Z: Tensor) -> None:
        """Announce atoms (N,) that will be asked about: tables are made once for all their elements."""
        indices = {index for index in self.model.element_of[Z].unique().tolist() if index >= 0}
        with self._lock:
            self._notice_changes()  # later, it would forget what is announced here
            if not any(s.covers(indices) for s in self._sets):
                self._expected |= indices

    def evaluate(self, graph: Graph, r: Tensor, *, gradient: bool = True, exact: bool = False) -> Evaluated:
        """Energies of atoms, and their derivatives by edge vectors.

        Args:
            graph: structures for one head, on the model's device; its edges have been checked.
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
            self._notice_changes()
            plan = self._plan(graph, head, shortest, exact)
            return plan.evaluate(graph, r, self._memory, gradient=gradient)

    def plan(self, graph: Graph) -> AnyPlan:
        """The plan with tables for the elements of structures, whose edges are not looked at.

        Raises:
            InputError: elements outside the model.
        """
        with self._lock:
            self._notice_changes()
            return self._plan(graph, int(graph.head[0]), self._start, exact=False)

    def _plan(self, graph: Graph, head: int, shortest: float, exact: bool) -> AnyPlan:
        wanted = set(self.model.element_of[graph.Z].unique().tolist())
        if min(wanted) < 0:
            raise InputError("there are elements outside the model")
        if not exact and shortest < self._start:
            self._start = max(tables.CLOSEST, 0.8 * shortest)
            self._sets.clear()
        known = (s for s in self._sets if s.covers(wanted) and (exact or self._fits(head, s.elements)))
        chosen = next(known, None) or self._new_set(head, wanted, exact)
        plan = self._made(chosen, head, exact)  # before it is kept: there may be too many elements for tables
        self._expected -= set(chosen.elements)
        self._sets = [chosen, *(s for s in self._sets if s is not chosen)][:KEPT]
        while len(self._sets) > 1 and sum(self._size(head, s.elements) for s in self._sets) > tables.LARGEST:
            self._sets.pop()
        return plan

    def _new_set(self, head: int, wanted: set[int], exact: bool) -> _Set:
        """For the elements that are wanted, with others that are or will be used, if that is cheap."""
        announced = wanted | self._expected
        together = announced.union(*(s.elements for s in self._sets[:1]))
        for elements in (together, announced):
            if len(elements) <= max(TOGETHER, len(announced)) and (exact or self._fits(head, elements)):
                return _Set(elements)
        return _Set(wanted)

    def _made(self, chosen: _Set, head: int, exact: bool) -> AnyPlan:
        if (head, exact) not in chosen.plans:
            frozen = Frozen(self.model, head, chosen.elements)
            radial = None if exact else self._radial(chosen, frozen)
            chosen.plans[head, exact] = self._new_plan(frozen, radial)
        return chosen.plans[head, exact]

    def _new_plan(self, frozen: Frozen, radial: Tables | None) -> AnyPlan:
        if self.backend == "triton":
            from crossfield.inference.gpu.plan import GpuPlan

            return GpuPlan(frozen, self.model.dtype, self.model.device, radial)
        return Plan(frozen, self.model.dtype, radial)

    def _fits(self, head: int, elements: Collection[int]) -> bool:
        """Whether tables of these elements are not too large."""
        return self._size(head, elements) <= tables.LARGEST

    def _size(self, head: int, elements: Collection[int]) -> int:
        """Bytes of tables of some elements; 0 without tables."""
        if self.accuracy is None:
            return 0
        return tables.size(self.model, len(elements), self._start, self._step_for(head), self._form)

    def _step_for(self, head: int) -> float:
        assert self.accuracy is not None
        if not self._step:
            last = len(self.model.config.elements) - 1
            some = sorted({last * k // (SAMPLE - 1) for k in range(SAMPLE)})
            self._step = tables.step_for(Frozen(self.model, head, some), self.accuracy * TOLERANCE)
        return self._step

    def _radial(self, chosen: _Set, frozen: Frozen) -> Tables:
        """Tables that are exact enough for the elements at hand, too."""
        assert self.accuracy is not None
        while chosen.tables is None:
            step = self._step_for(frozen.head)
            if (pairs := len(frozen.elements) ** 2) >= MANY:
                say(f"making tables of radial functions for {pairs} pairs of elements")
            made = tables.build(
                frozen,
                start=self._start,
                step=step,
                dtype=self.model.dtype,
                form=self._form,
                others=[s.tables for s in self._sets if s.tables is not None],
            )
            if made.error <= self.accuracy * TOLERANCE:
                chosen.tables = made
            elif step <= (frozen.config.cutoff - tables.START) / tables.INTERVALS[-1]:
                say(f"tables of radial functions are exact to {made.error / TOLERANCE:.0e} eV/atom only")
                chosen.tables = made
            else:
                self._step = 0.5 * step
        return chosen.tables

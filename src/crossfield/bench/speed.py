"""How fast a potential is: energy, forces and stress of a structure, and a step of molecular dynamics."""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from ase import Atoms

from crossfield.bench.device import meter, wait
from crossfield.bench.memory import Usage
from crossfield.bench.timing import TIMESTEP, Job, molecular_dynamics, times
from crossfield.graph import Graph
from crossfield.inference.potential import Potential, TableCheck
from crossfield.model import Model, ModelConfig, Prediction
from crossfield.simulate import Calculator
from crossfield.theory import Head, Theory
from crossfield.zoo import checkpoint, load

if TYPE_CHECKING:
    from crossfield.inference.gpu.step import Found, Step

PUBLISHED = ModelConfig(
    elements=(*range(1, 84), *range(89, 95)), cutoff=6.0, channels=512, edge_channels=128
)  # MACE-MH-1; what is not named here is as published by default
WARM_UP = 3  # calls before the first that counts
LONG = 4.0  # s; no more of them after this, and then one that counts is enough
AT_LEAST = 3  # that count
DAY = 86400.0  # s


@dataclass(frozen=True)
class Speed:
    """What one structure takes.

    Attributes:
        structure: name of the structure.
        atoms, edges: their numbers.
        evaluation: median time of energy, forces and, with three periodic axes, stress, on neighbours that
            are known already, s.
        step: median time of a step of molecular dynamics in ASE, neighbours included, s.
        memory: of the process; on a GPU, that of PyTorch there.
        tables: how far tables of radial functions lead from exact evaluation; None where there are none.
    """

    structure: str
    atoms: int
    edges: int
    evaluation: float
    step: float
    memory: Usage
    tables: TableCheck | None = None

    @property
    def edges_per_atom(self) -> float:
        return self.edges / self.atoms

    @property
    def per_atom(self) -> float:
        """Time of the evaluation per atom, s."""
        return self.evaluation / self.atoms

    @property
    def nanoseconds_per_day(self) -> float:
        """Simulated in a day, with steps of 1 fs, ns."""
        return DAY / self.step * TIMESTEP * 1e-6

    def as_dict(self) -> dict[str, Any]:
        """For JSON; times in s, memory in MiB."""
        return {
            "structure": self.structure,
            "atoms": self.atoms,
            "edges_per_atom": self.edges_per_atom,
            "evaluation_s": self.evaluation,
            "evaluation_per_atom_s": self.per_atom,
            "step_s": self.step,
            "steps_per_second": 1.0 / self.step,
            "ns_per_day": self.nanoseconds_per_day,
            "peak_memory_MiB": self.memory.peak,
            "memory_increase_MiB": self.memory.increase,
            "tables_energy_per_atom_eV": self.tables and self.tables.energy,
            "tables_force_eV_A": self.tables and self.tables.force,
        }


def measure_speed(potential: Potential, name: str, atoms: Atoms, *, seconds: float = 2.0) -> Speed:
    """Time the default head of a potential on one structure.

    Args:
        potential: the potential.
        name: what the structure is called.
        atoms: the structure, as `Potential.predict` reads it.
        seconds: how long the evaluation and the step are timed each; at least one call, after some that do
            not count.

    Raises:
        InputError: as `Potential.predict`.
    """
    graph = potential.graph(atoms).to(potential.model.device)
    memory = meter(potential.model.device)
    evaluation = Job(Evaluation(potential, graph).run)
    step = molecular_dynamics(atoms, Calculator(potential))
    one, other = _median(evaluation, seconds), _median(step, seconds)
    usage = memory.usage()  # before exact evaluation takes its own
    tabled = potential.backend != "reference" and potential.table_accuracy is not None
    return Speed(
        structure=name,
        atoms=graph.num_atoms,
        edges=graph.num_edges,
        evaluation=one,
        step=other,
        memory=usage,
        tables=potential.check_tables(atoms) if tabled else None,
    )


class Evaluation:
    """Energy, forces and, with three periodic axes, stress of structures whose edges are known.

    In whole steps where the potential can be evaluated so and no atoms are closer than its tables reach; they
    are laid out at the first call and recorded at the second.

    Args:
        potential: the potential.
        graph: one structure or several.
    """

    def __init__(self, potential: Potential, graph: Graph) -> None:
        self._potential, self._graph = potential, graph.to(potential.model.device)
        self._stress = bool(graph.periodic.all())
        self._cell = torch.where(graph.pbc[:, :, None], graph.cell, 0.0).to(potential.model.device)
        self._in_steps = potential.in_steps
        self._step: Step | None = None

    def run(self) -> None:
        """What is timed; done when it returns."""
        self._evaluate()
        wait(self._potential.model.device)

    def prediction(self) -> Prediction:
        """What it finds."""
        found = self._evaluate()
        if isinstance(found, Prediction):
            return found
        stress = found.stress(self._cell, self._graph.periodic) if self._stress else None
        return Prediction(found.energy, found.energies, found.forces, stress)

    def _evaluate(self) -> Prediction | Found:
        if self._in_steps:
            step = self._step = self._step or self._laid_out()
            found = step(self._graph.positions, self._cell)
            assert step.plan.radial is not None
            self._in_steps = bool(found.shortest >= step.plan.radial.start)
            if self._in_steps:
                return found
        return self._potential.evaluate(self._graph, stress=self._stress)

    def _laid_out(self) -> Step:
        from crossfield.inference.gpu.plan import GpuPlan
        from crossfield.inference.gpu.step import Step

        assert self._potential.prepared is not None
        plan = self._potential.prepared.plan(self._graph)
        assert isinstance(plan, GpuPlan)
        return Step(plan, self._graph)


def random_potential(**options: Any) -> Potential:
    """A potential of the size of MACE-MH-1 with random weights, which costs what that one does.

    Args:
        options: device, dtype and backend as in `crossfield.load`.

    Raises:
        InputError: as `crossfield.load`.
    """
    head = Head(name="random", theory=Theory(name="none"), E0=dict.fromkeys(PUBLISHED.elements, 0.0))
    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        path = Path(folder) / "random.safetensors"
        checkpoint.save(path, Model(PUBLISHED, [head]), {})
        return load(path, **options)


def _median(job: Job, seconds: float) -> float:
    warm = 0.0
    for _ in range(WARM_UP):
        warm += sum(times(job, 0.0))
        if warm > LONG:
            return statistics.median(times(job, seconds))
    return statistics.median(times(job, seconds, at_least=AT_LEAST))

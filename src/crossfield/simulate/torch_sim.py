"""A potential as a model of torch-sim, which moves many structures at once.

    import torch_sim
    from crossfield.simulate.torch_sim import TorchSimModel

    model = TorchSimModel(crossfield.load("model.safetensors", device="cuda", backend="triton"))
    torch_sim.optimize(system=structures, model=model, optimizer=torch_sim.optimizers.fire)

(Later versions of torch-sim than 0.3 call the optimiser `torch_sim.Optimizer.fire`.)

On a GPU neighbours are searched for there, for all structures at once, where nvalchemi-toolkit-ops is
installed, and otherwise on the processor, structure by structure (`crossfield.graph.searcher`). Both
libraries come with `pip install 'crossfield[torch-sim,gpu]'`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
import torch_sim
from ase import Atoms
from torch import Tensor
from torch_sim.models.interface import ModelInterface

from crossfield.errors import InputError
from crossfield.graph import NO_EDGES, TOO_CLOSE, Graph, SkinList, connect
from crossfield.inference.potential import Potential

if TYPE_CHECKING:
    from crossfield.inference.gpu.step import Step


@dataclass
class _Kept:
    """A batch of structures as it was when its neighbours were searched for."""

    numbers: Tensor
    system: Tensor
    periodic: Tensor  # (3,) bool
    positions: Tensor  # (N, 3) Å
    box: Tensor  # (S, 3, 3) Å, rows are lattice vectors of periodic axes
    inverse: Tensor  # (S, 3, 3) 1/Å, pseudo-inverse of the box
    graph: Graph  # with edges out to cutoff + skin
    step: Step | None  # with the Triton back end
    version: int  # of the model that the step is of
    inputs: dict[str, Tensor]  # (S,) charge and spin, where they are given


class TorchSimModel(ModelInterface):  # type: ignore[misc]  # torch-sim has no types
    """Energies (eV), forces (eV/Å) and stress (eV/Å³) of all structures of a state, by one head.

    Args:
        potential: the potential.
        head: which head answers; None: its default one.
        compute_forces, compute_stress: what to compute besides the energy.
        charge, spin: total charge and multiplicity of all structures, where a state does not say them; None:
            as the head's theory assumes. Later versions of torch-sim than 0.3 have them in their states.
        skin: Å. Neighbours are searched this much beyond the cutoff, and again only when an atom has moved
            more than half as far.

    Raises:
        InputError: no such head, or a skin that is negative or not finite.
    """

    def __init__(
        self,
        potential: Potential,
        head: str | None = None,
        *,
        compute_forces: bool = True,
        compute_stress: bool = True,
        charge: float | None = None,
        spin: float | None = None,
        skin: float = 0.5,
    ) -> None:
        super().__init__()
        self.potential, self.head = potential, potential.theory_head(head).name
        self._device, self._dtype = potential.model.device, potential.model.dtype
        self._compute_forces, self._compute_stress = compute_forces, compute_stress
        self._memory_scales_with = "n_atoms_x_density"
        self._usual = {k: v for k, v in (("charge", charge), ("spin", spin)) if v is not None}
        self.skin = SkinList(potential.cutoff, skin).skin  # which checks it
        self.rebuilds = 0  # searches for neighbours so far
        self._kept: _Kept | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Copies search for neighbours of their own."""
        return {**self.__dict__, "_kept": None}

    def forward(self, state: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Evaluate.

        Args:
            state: a `torch_sim.SimState`, or its fields in a dictionary.
            kwargs: not read.

        Returns:
            "energy" (S,), "forces" (N, 3) and "stress" (S, 3, 3), in the precision of the state; the stress
            is NaN without three periodic axes.

        Raises:
            InputError: as `Potential.predict`.
        """
        if isinstance(state, dict):
            state = torch_sim.SimState(**{"masses": torch.ones_like(state["positions"][:, 0])} | state)
        periodic = torch.as_tensor(state.pbc, device=self._device).expand(3)
        x = state.positions.detach().to(self._device, torch.float64)
        box = state.cell.detach().to(self._device, torch.float64).mT
        box = torch.where(periodic.unsqueeze(1), box, torch.zeros_like(box))
        kept = self._kept
        if kept is None or not self._holds(kept, state, periodic, x, box):
            kept = self._kept = self._search(state, periodic, x, box)
        found = self._evaluate(kept, x, box)
        return {name: value.to(state.positions) for name, value in found.items()}

    def _evaluate(self, kept: _Kept, x: Tensor, box: Tensor) -> dict[str, Tensor]:
        if kept.step is not None:
            found, radial = kept.step(x, box), kept.step.plan.radial
            assert radial is not None
            if found.shortest < radial.start:
                self._kept = None  # there will be tables that reach further
            else:
                stress = found.stress(box, kept.graph.periodic)
                return self._asked(found.energy.clone(), found.forces.clone(), stress)
        graph = replace(kept.graph, positions=x, cell=box)
        length = torch.linalg.vector_norm(graph.vectors(), dim=1)
        for edge in torch.nonzero(length < TOO_CLOSE)[:1].squeeze(1):
            first, second = sorted((int(graph.sender[edge]), int(graph.receiver[edge])))
            raise InputError(f"atoms {first} and {second} of the state are at the same place")
        near = torch.nonzero(length < self.potential.cutoff)
        edges = {name: getattr(graph, name)[near.squeeze(1)] for name in ("sender", "receiver", "shift")}
        result = self.potential.evaluate(
            replace(graph, **edges), forces=self._compute_forces, stress=self._compute_stress
        )
        return self._asked(result.energy, result.forces, result.stress)

    def _asked(self, energy: Tensor, forces: Tensor | None, stress: Tensor | None) -> dict[str, Tensor]:
        found = {"energy": energy}
        if self._compute_forces and forces is not None:
            found["forces"] = forces
        if self._compute_stress and stress is not None:
            found["stress"] = stress
        return found

    def _holds(self, kept: _Kept, state: Any, periodic: Tensor, x: Tensor, box: Tensor) -> bool:
        """Whether all pairs closer than the cutoff are among the edges kept; as `SkinList` finds it."""
        if kept.version != self._version():
            return False
        numbers, system = state.atomic_numbers, state.system_idx
        if numbers.shape != kept.numbers.shape or box.shape != kept.box.shape:
            return False
        inputs = _inputs(state)
        if inputs.keys() != kept.inputs.keys() or any((v != kept.inputs[k]).any() for k, v in inputs.items()):
            return False
        same = (numbers == kept.numbers).all() & (system == kept.system).all()
        change = kept.inverse @ (box - kept.box)
        u = x - kept.positions
        u = u - torch.einsum("na,nab->nb", kept.positions, change[kept.graph.structure])
        s = torch.linalg.svdvals(torch.eye(3, dtype=x.dtype, device=x.device) + change)[:, -1]
        reach = self.potential.cutoff
        room = s * (reach + self.skin) - reach
        moved = 2.0 * torch.linalg.vector_norm(u, dim=1) <= room[kept.graph.structure]
        return bool(same & moved.all() & (periodic == kept.periodic).all())

    def _search(self, state: Any, periodic: Tensor, x: Tensor, box: Tensor) -> _Kept:
        """Search for neighbours."""
        self.rebuilds += 1
        graph = connect(self._batch(state, periodic, x, box), self.potential.cutoff + self.skin)
        step = self._step(graph) if self.potential.in_steps and graph.num_atoms else None
        numbers, system = state.atomic_numbers.clone(), state.system_idx.clone()
        inverse, inputs = torch.linalg.pinv(box), {name: v.clone() for name, v in _inputs(state).items()}
        place = (periodic, x.clone(), box.clone(), inverse)
        return _Kept(numbers, system, *place, graph, step, self._version(), inputs)

    def _version(self) -> int:
        return 0 if self.potential.prepared is None else self.potential.prepared.version()

    def _batch(self, state: Any, periodic: Tensor, x: Tensor, box: Tensor) -> Graph:
        """The structures without edges; each kind of them is checked."""
        S, numbers = len(box), state.atomic_numbers.to(self._device, torch.int64)
        kinds = Atoms(numbers.unique().tolist(), pbc=periodic.tolist())
        given = {name: value.tolist() for name, value in _inputs(state).items()}
        each = list(zip(*given.values(), strict=True)) or [()] * max(S, 1)
        checked = {}
        for values in set(each):
            kinds.info = self._usual | dict(zip(given, values, strict=True))
            checked[values] = self.potential.graph(kinds, self.head, edges=NO_EDGES)
        names = ("head", "charge", "spin", "extra")
        asked = {name: torch.cat([getattr(checked[values], name) for values in each]) for name in names}
        return Graph(
            Z=numbers,
            positions=x,
            cell=box,
            pbc=periodic.expand(S, 3),
            sender=numbers.new_zeros(0),
            receiver=numbers.new_zeros(0),
            shift=x.new_zeros(0, 3),
            structure=state.system_idx.to(self._device, torch.int64),
            **{name: value[:S].to(self._device) for name, value in asked.items()},
        )

    def _step(self, graph: Graph) -> Step:
        from crossfield.inference.gpu.step import step_for  # which needs Triton

        prepared, before = self.potential.prepared, self._kept.step if self._kept is not None else None
        assert prepared is not None
        self._kept = None  # until there is another step: memory may not suffice
        return step_for(prepared, graph, before)


def _inputs(state: Any) -> dict[str, Tensor]:
    """What a state says of charge and spin (S,): nothing before a later version of torch-sim than 0.3."""
    given = {name: getattr(state, name, None) for name in ("charge", "spin")}
    return {name: value for name, value in given.items() if value is not None}

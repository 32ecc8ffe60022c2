"""A potential as a model of torch-sim, which moves many structures at once.

    import torch_sim
    from crossfield.simulate.torch_sim import TorchSimModel

    model = TorchSimModel(crossfield.load("model.safetensors", device="cuda", backend="triton"))
    torch_sim.optimize(structures, model, optimizer=torch_sim.Optimizer.fire)

torch-sim comes with `pip install 'crossfield[torch-sim]'`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
import torch_sim
from ase import Atoms
from torch import Tensor
from torch_sim.models.interface import ModelInterface

from crossfield.graph import Graph, SkinList, collate
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
    graph: Graph  # with edges out to cutoff + skin
    step: Step | None  # with the Triton back end


class TorchSimModel(ModelInterface):  # type: ignore[misc]  # torch-sim has no types
    """Energies (eV), forces (eV/Å) and stress (eV/Å³) of all structures of a state, by one head.

    Args:
        potential: the potential.
        head: which head answers; None: its default one.
        compute_forces, compute_stress: what to compute besides the energy.
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
        skin: float = 0.5,
    ) -> None:
        super().__init__()
        self.potential, self.head = potential, potential.theory_head(head).name
        self._device, self._dtype = potential.model.device, potential.model.dtype
        self._compute_forces, self._compute_stress = compute_forces, compute_stress
        self._memory_scales_with = "n_atoms_x_density"
        self.skin = SkinList(potential.cutoff, skin).skin  # which checks it
        self.rebuilds = 0  # searches for neighbours so far
        self._kept: _Kept | None = None

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
                volume = torch.linalg.det(box).abs().cpu().view(-1, 1)
                xx, yy, zz, yz, xz, xy = (found.virial / volume).unbind(1)
                rows = [torch.stack(row, dim=1) for row in ((xx, xy, xz), (xy, yy, yz), (xz, yz, zz))]
                stress = torch.stack(rows, dim=1)
                stress[~kept.graph.periodic.cpu()] = torch.nan
                return self._asked(found.energy, found.forces, stress)
        graph = replace(kept.graph, positions=x, cell=box)
        near = torch.nonzero(torch.linalg.vector_norm(graph.vectors(), dim=1) < self.potential.cutoff)
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
        numbers, system = state.atomic_numbers, state.system_idx
        if numbers.shape != kept.numbers.shape or box.shape != kept.box.shape:
            return False
        same = (numbers == kept.numbers).all() & (system == kept.system).all()
        change = torch.linalg.pinv(kept.box) @ (box - kept.box)
        u = x - kept.positions
        u = u - torch.einsum("na,nab->nb", kept.positions, change[kept.graph.structure])
        s = torch.linalg.svdvals(torch.eye(3, dtype=x.dtype, device=x.device) + change)[:, -1]
        reach = self.potential.cutoff
        room = s * (reach + self.skin) - reach
        moved = 2.0 * torch.linalg.vector_norm(u, dim=1) <= room[kept.graph.structure]
        return bool(same & moved.all() & (periodic == kept.periodic).all())

    def _search(self, state: Any, periodic: Tensor, x: Tensor, box: Tensor) -> _Kept:
        """Search for neighbours, structure by structure."""
        self.rebuilds += 1
        numbers, system = state.atomic_numbers, state.system_idx
        sizes = torch.bincount(system, minlength=len(box)).tolist()
        graphs = []
        parts = zip(numbers.cpu().split(sizes), x.cpu().split(sizes), box.cpu(), strict=True)
        for z, positions, cell in parts:
            atoms = Atoms(z.numpy(), positions.numpy(), cell=cell.numpy(), pbc=periodic.cpu().numpy())
            finder = SkinList(self.potential.cutoff, self.skin)
            edges = finder.candidates(atoms.positions, atoms.cell.array, atoms.pbc)
            graphs.append(self.potential.graph(atoms, self.head, edges=edges))
        graph = collate(graphs)
        step = None
        if self.potential.in_steps and graphs:
            step = self._step(graph)
        return _Kept(
            numbers.clone(), system.clone(), periodic, x.clone(), box.clone(), graph.to(self._device), step
        )

    def _step(self, graph: Graph) -> Step:
        from crossfield.inference.gpu.step import step_for  # which needs Triton

        kept, prepared, before = self._kept, self.potential.prepared, None
        assert prepared is not None
        if kept is not None:
            pairs = ((kept.graph.Z, graph.Z), (kept.graph.structure, graph.structure))
            before = kept.step if all(torch.equal(a.cpu(), b) for a, b in pairs) else None
        return step_for(prepared, graph, before)

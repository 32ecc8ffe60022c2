"""The model, top to bottom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from crossfield.errors import InputError
from crossfield.graph import Graph
from crossfield.kernels import Connectivity, SphericalHarmonics, segment_sum
from crossfield.model.config import ModelConfig
from crossfield.model.embedding import ElementEmbedding, InputEmbedding
from crossfield.model.interactions import interaction_of
from crossfield.model.layer import EdgeGeometry
from crossfield.model.pair import ZBLRepulsion
from crossfield.model.product import ProductBasis
from crossfield.model.radial import basis_of, polynomial_cutoff, transform_of
from crossfield.model.readout import LinearReadout, readouts_of
from crossfield.theory import Head, head_index


class Output(NamedTuple):
    """What a model gives for the N atoms of a batch."""

    energies: Tensor  # (N,) eV, float64; their sum over a structure is its energy
    features: list[list[Tensor]]  # per layer, per l (N, 2l+1, C)


class Model(nn.Module):
    """One equivariant backbone and one head per level of theory (MACE, and MACE-MH-1, arXiv 2510.25380).

    Parameters are float32 or float64; reference energies and the energies that come out are float64 always.

    Args:
        config: sizes and choices.
        heads: the heads, with their theories, reference energies, scales and shifts.
        default_head: the head that answers where none is asked for; None: one must be, if there are several.

    Raises:
        InputError: no heads, repeated names, a default that is none of them, or reference energies for
            elements outside the model.
    """

    element_of: Tensor  # (119,) position of an atomic number among the elements
    E0: Tensor  # (heads, elements) eV, NaN where a head has none
    scale: Tensor  # (heads,) eV
    shift: Tensor  # (heads,) eV

    def __init__(self, config: ModelConfig, heads: Sequence[Head], default_head: str | None = None) -> None:
        super().__init__()
        _check_heads(config, heads)
        self.config, self.heads = config, tuple(heads)
        self.default_head = None if default_head is None else heads[head_index(heads, default_head)].name

        self.embedding = ElementEmbedding(len(config.elements), config.channels, config.element_scale)
        self.inputs = InputEmbedding(config.inputs, config.channels) if config.inputs else None
        self.embedding_readout = (
            LinearReadout(config.channels, len(heads)) if config.embedding_readout else None
        )
        self.harmonics = SphericalHarmonics(config.l_max)
        self.transform = transform_of(config)
        self.basis = basis_of(config)
        self.pair = ZBLRepulsion(config.cutoff_power) if config.pair == "zbl" else None
        self.interactions = nn.ModuleList(interaction_of(config, i) for i in range(config.layers))
        self.products = nn.ModuleList(ProductBasis(config, i) for i in range(config.layers))
        self.readouts = readouts_of(config, len(heads))

        position = {Z: i for i, Z in enumerate(config.elements)}
        element_of = torch.tensor([position.get(Z, -1) for Z in range(119)])
        self.register_buffer("element_of", element_of, persistent=False)
        self._exact = _head_tables(config, heads)
        for name, table in self._exact.items():
            self.register_buffer(name, table, persistent=False)

    @classmethod
    def skeleton(cls, config: ModelConfig, heads: Sequence[Head]) -> Self:
        """The model without memory for its weights, whose shapes can be compared before any is taken."""
        with torch.device("meta"):
            return cls(config, heads)

    def forward(self, graph: Graph, vectors: Tensor, *, curved: bool = True) -> Output:
        """Energies and features of the atoms.

        Args:
            graph: the structures, on the device of the model.
            vectors: (E, 3) edge vectors, Å; `graph.vectors()`, or these under a strain.
            curved: whether second derivatives by the vectors are asked for. Training on forces needs none: it
                differentiates forces by parameters, of which the functions of the distance have none.
        """
        z = self.element_of[graph.Z]  # (N,)
        head = graph.head[graph.structure]  # (N,)
        r = vectors.to(self.dtype)
        d = torch.linalg.vector_norm(r, dim=1)  # (E,)

        h = self.embedding.table().index_select(0, z)  # (N, C)
        offset = 0.0
        if self.inputs is not None:
            h = h + self.inputs(self.inputs_of(graph))[graph.structure]
        if self.embedding_readout is not None:
            offset = self.embedding_readout(h, head).double()  # outside the scale, as in the family

        edges, pair = self._geometry(graph, r, d, z, curved=curved)
        energies = h.new_zeros(graph.num_atoms)
        if pair is not None:
            energies = energies + segment_sum(pair, graph.receiver, graph.num_atoms)

        features = [[h.unsqueeze(1)]]  # per layer, per l (N, 2l+1, C)
        for i, (interaction, product) in enumerate(zip(self.interactions, self.products, strict=True)):
            A, skip = interaction(features[-1], z, edges)
            features.append(product(A, skip, z))
            if str(i) in self.readouts:
                energies = energies + self.readouts[str(i)](features[-1][0].squeeze(1), head)

        energies = self.E0[head, z] + offset + self.scale[head] * energies.double() + self.shift[head]
        return Output(energies, features[1:])

    def inputs_of(self, graph: Graph) -> dict[str, Tensor]:
        """The numbers (S,) that the model reads of each structure, by name."""
        names = self.config.extra_inputs
        extra = graph.extra.reshape(graph.num_structures, len(names)).unbind(1)
        return {"charge": graph.charge, "spin": graph.spin, **dict(zip(names, extra, strict=True))}

    def _geometry(
        self, graph: Graph, r: Tensor, d: Tensor, z: Tensor, *, curved: bool = True
    ) -> tuple[EdgeGeometry, Tensor | None]:
        """What the layers need to know about the edges, and their pair energies (E,) eV."""
        basis, cutoff, pair = self._of_distance(graph, d) if curved else self._straight(graph, d)
        edges = EdgeGeometry(
            connectivity=Connectivity(graph.sender, graph.receiver, graph.num_atoms),
            element_sender=z[graph.sender],
            element_receiver=z[graph.receiver],
            Y=self.harmonics(r / d.unsqueeze(1)),
            basis=basis,
            cutoff=cutoff,
        )
        return edges, pair

    def _of_distance(self, graph: Graph, d: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Radial basis, cutoff and pair energies of the edges."""
        s, t = graph.sender, graph.receiver
        pair = None if self.pair is None else self.pair.edges(d, graph.Z, s, t)
        return (*self.radial_basis(d, graph.Z[s], graph.Z[t]), pair)

    def _straight(self, graph: Graph, d: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The same with exact values and first derivatives, and no others: a tangent at these distances."""
        at = d.detach()
        with torch.no_grad():
            found: Any = torch.func.jvp(lambda x: self._present(graph, x), (at,), (torch.ones_like(at),))
        step = d - at
        values = [v + slope * step.reshape(-1, *[1] * (v.ndim - 1)) for v, slope in zip(*found, strict=True)]
        basis, *others = values
        cutoff = others.pop(0) if self.config.cutoff_on == "weights" else None
        return basis, cutoff, others[0] if others else None

    def _present(self, graph: Graph, d: Tensor) -> tuple[Tensor, ...]:
        return tuple(x for x in self._of_distance(graph, d) if x is not None)

    def radial_basis(self, d: Tensor, Z_sender: Tensor, Z_receiver: Tensor) -> tuple[Tensor, Tensor | None]:
        """Radial basis (E, n), and the cutoff (E, 1) unless the basis has it already."""
        f = polynomial_cutoff(d, self.config.cutoff, self.config.cutoff_power).unsqueeze(1)
        basis = self.basis(d if self.transform is None else self.transform(d, Z_sender, Z_receiver))
        return (basis * f, None) if self.config.cutoff_on == "basis" else (basis, f)

    @property
    def dtype(self) -> torch.dtype:
        """float32 or float64."""
        return self.embedding.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.embedding.weight.device

    @property
    def num_parameters(self) -> int:
        return sum(p.numel() for p in self.parameters())

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Follow to another device or precision, but keep reference energies in float64."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch's has no types
        for name, table in self._exact.items():
            setattr(self, name, table.to(self.device))
        return self


def _check_heads(config: ModelConfig, heads: Sequence[Head]) -> None:
    names = [head.name for head in heads]
    if not names:
        raise InputError("a model needs at least one head")
    if len(set(names)) != len(names):
        raise InputError(f"head names must differ: {', '.join(names)}")
    for head in heads:
        outside = sorted(set(head.E0) - set(config.elements))
        if outside:
            raise InputError(
                f"head {head.name!r} has reference energies of elements {outside} outside the model"
            )


def _head_tables(config: ModelConfig, heads: Sequence[Head]) -> dict[str, Tensor]:
    """The tables of the heads, float64."""
    nan = float("nan")
    return {
        "E0": torch.tensor([[h.E0.get(z, nan) for z in config.elements] for h in heads], dtype=torch.float64),
        "scale": torch.tensor([h.scale for h in heads], dtype=torch.float64),
        "shift": torch.tensor([h.shift for h in heads], dtype=torch.float64),
    }

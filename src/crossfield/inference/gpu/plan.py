"""A frozen model on a GPU: energies, and their derivatives by edge vectors.

The steps are those of the plan for processors, but for the way back through messages: there atoms collect
what comes back along the edges that they send, so that no two programs add to one place, and two runs give
the same bits. Atoms are worked through in blocks, as many at a time as memory allows; with more than one
block, what the reverse pass needs of the first layers is computed again.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from crossfield.graph import Graph
from crossfield.inference.freeze import Frozen, Kinds
from crossfield.inference.gpu.layer import LANES, Block, GpuLayer, State, Table
from crossfield.inference.gpu.products import Groups, Precision
from crossfield.inference.last import Readout
from crossfield.inference.layout import padded_kinds
from crossfield.inference.memory import Memory
from crossfield.inference.results import Evaluated
from crossfield.inference.tables import Tables, evaluate
from crossfield.kernels.connectivity import Edges, Outgoing
from crossfield.kernels.gpu import edges as edge_kernels
from crossfield.kernels.gpu import rows
from crossfield.kernels.gpu.build import Source, launch
from crossfield.kernels.gpu.launch.tiles import Tiles, blocks, edges_at_once, rows_of
from crossfield.kernels.writing import Write

BLOCK_BYTES = 16 << 30  # of scratch memory for a block of atoms, on a GPU
PRECISION: Precision = "tf32x3"


class GpuPlan:
    """A frozen model with its tables, kernels and memory.

    Args:
        frozen: the model for one head and some elements.
        dtype: float32 or float64.
        device: where it is to run.
        radial: polynomials of the radial functions; None: they are evaluated for every edge.
        precision: of products with matrices in single precision.
        block: atoms that are worked on at a time; None: as many as fit into memory.
    """

    def __init__(
        self,
        frozen: Frozen,
        dtype: torch.dtype,
        device: torch.device,
        radial: Tables | None,
        *,
        precision: Precision = PRECISION,
        block: int | None = None,
    ) -> None:
        self.frozen, self.dtype, self.device, self.radial = frozen, dtype, device, radial
        config, model = frozen.config, frozen.model
        self.layers = [
            GpuLayer(f, t, config.channels, dtype, device, precision) for t, f in enumerate(frozen.layers)
        ]
        self.readout = Readout.of_torch(frozen.readout, dtype, device)
        self.width = frozen.first_map.shape[1]  # hidden scalars, and then the energy read out before
        self.tables = [] if radial is None else self._on_device(radial)
        if radial is not None:
            self.law = torch.tensor([radial.start, radial.step], dtype=torch.float64, device=device)
        else:
            self.law = torch.zeros(2, dtype=torch.float64, device=device)
        self.element_of = torch.full((len(config.elements),), -1)
        self.element_of[frozen.elements] = torch.arange(len(frozen.elements))
        self.element_of = self.element_of[model.element_of].to(device)
        self.base = (model.E0[frozen.head, frozen.elements] + model.shift[frozen.head]).to(device)
        self.factor = torch.tensor([frozen.scale], dtype=torch.float64, device=device)
        numbers = torch.tensor(config.elements)[frozen.elements]
        if model.pair is not None:
            z = numbers.double()
            radii: Tensor = model.pair.get_buffer("radii")
            self.pair = [x.to(device) for x in (z, z**model.pair.exponent, radii[numbers].double())]
        largest = max(layer.scratch_size for layer in self.layers) * dtype.itemsize
        self.block = block or max(1, BLOCK_BYTES // largest)
        self._kinds: Kinds | None = None

    def _on_device(self, radial: Tables) -> list[Table]:
        def moved(x: Tensor | None) -> Tensor | None:
            return None if x is None else x.to(self.device)

        found = zip(radial.weights, radial.densities, strict=True)
        return [Table(weights.to(self.device), moved(density)) for weights, density in found]

    @torch.no_grad()
    def evaluate(self, graph: Graph, r: Tensor, memory: Memory, *, gradient: bool = True) -> Evaluated:
        """Energies of atoms, and their derivatives by edge vectors.

        Args:
            graph: structures of the plan's elements, all for its head, on the plan's device.
            r: (E, 3) edge vectors, Å, float64; none shorter than the start of the tables.
            memory: to work in; in the hands of nobody else meanwhile.
            gradient: whether to find the derivatives.
        """
        atoms = torch.arange(graph.num_atoms + 1, device=self.device)
        first = torch.searchsorted(graph.receiver.contiguous(), atoms)
        edges = Edges(graph.sender.contiguous(), first)
        state = self.bind(graph, edges, Outgoing.of(edges), memory)
        tables = self.tables or [self._exact(graph, r, t) for t in range(len(self.layers))]
        return self.run(state, r.contiguous(), tables, gradient=gradient)

    def bind(self, graph: Graph, edges: Edges, out: Outgoing, memory: Memory) -> State:
        """What follows from elements and edges alone, and stays while atoms move.

        Args:
            graph: the structures; their edges are not looked at.
            edges, out: the edges, in the order of receivers; behind them there may be room for others.
            memory: to work in.
        """
        N, E, l_max = graph.num_atoms, len(edges.sender), self.frozen.config.l_max
        element = self.element_of[graph.Z]
        kind = element
        if self.frozen.kinds_vary:
            kind = element + graph.structure * len(self.frozen.elements)
        parts = max(Tiles.of(1, layer.layout.product.channels, self.law).grid[1] for layer in self.layers)
        grouped = max(layer.groups for layer in self.layers) > 1
        groups = [
            Groups.of(element[begin : begin + self.block], len(self.frozen.elements)) if grouped else None
            for begin in range(0, N, self.block)
        ]
        return State(
            memory=memory,
            edges=edges,
            out=out,
            kind=kind,
            kind_of_sender=kind[edges.sender],
            element=element,
            zero=torch.zeros_like(element),
            groups=groups,
            kinds=self._kinds_of(graph),
            Y=memory.array("Y", 0, ((l_max + 1) ** 2, E)),
            gY=memory.array("gY", 0, (parts, (l_max + 1) ** 2, E)),
            slope=memory.array("slope", 0, (parts, E)),
            knot=memory.array("knot", 0, (E,), torch.int64),
            s=memory.array("s", 0, (E,)),
        )

    @torch.no_grad()
    def run(self, state: State, r: Tensor, tables: list[Table], *, gradient: bool) -> Evaluated:
        """Evaluate what has been bound; nothing here waits for the device.

        Args:
            state: of `bind`.
            r: (E, 3) edge vectors, Å, float64.
            tables: radial functions of the layers.
            gradient: whether to find the derivatives.
        """
        last = len(self.layers) - 1
        energy = state.array("energy", 0, 1).squeeze(1)
        self._geometry(state, r)
        for layer, table in zip(self.layers[:last], tables, strict=False):
            for b in self._blocks(state):
                layer.forward(b, table)
        for t in reversed(range(last + 1)):
            layer, table = self.layers[t], tables[t]
            for b in self._blocks(state):
                if t == last:
                    self._read_out(b, table, energy)
                if gradient:
                    layer.reverse(b, table, again=t < last and len(state.groups) > 1)
                    if not t:  # nobody asks what comes back to the senders
                        layer.reverse_messages(state, table, b.begin, b.end, layer.by_messages(b))
            if gradient and t:
                gm = state.array("gm", t, layer.layout.message_size)
                layer.reverse_messages(state, table, 0, state.num_atoms, gm)
            if gradient and table.density is not None:
                self._density(state, table, state.array("grho", t, 1))
        return self._found(state, r, energy, gradient)

    # -- before and after

    def _geometry(self, state: State, r: Tensor) -> None:
        """Harmonics and places in tables; and zeros, where gradients are added up."""
        for x in (state.gY, state.slope):
            x.zero_()
        for t, layer in enumerate(self.layers):
            if t:
                state.array("gu", t, layer.layout.u_in_size).zero_()
        write = Write(edge_kernels.geometry, l_max=self.frozen.config.l_max, table=self.radial is not None)
        self._per_edge(
            Source(edge_kernels.GEOMETRY, self.dtype, write),
            *(r, state.edges.sender, state.out.receiver, state.element, self.law),
            *(state.Y, state.knot, state.s, len(self.frozen.elements)),
            *(1 if self.radial is None else self.radial.rows, state.num_edges),
        )

    def _kinds_of(self, graph: Graph) -> Kinds:
        if self._kinds is not None:
            return self._kinds
        found = self.frozen.kinds(graph.to("cpu") if self.frozen.kinds_vary else graph)
        kinds = padded_kinds(found, self.frozen.config.channels, LANES, self.dtype).to(self.device)
        if not self.frozen.kinds_vary:
            self._kinds = kinds
        return kinds

    def _exact(self, graph: Graph, r: Tensor, t: int) -> Table:
        """Radial functions of a layer, evaluated for every edge."""
        frozen, layer = self.frozen, self.layers[t]
        z = self.element_of[graph.Z]
        ends = [z[at].cpu() for at in (graph.sender, graph.receiver)]
        d = torch.linalg.vector_norm(r, dim=1).cpu()
        found = evaluate(frozen, layer.frozen, d, *ends)
        product = layer.layout.product
        both = torch.stack([found.weights, found.weights_slope], dim=1)
        weights = torch.zeros(len(d), 2, len(product.paths), product.channels, dtype=self.dtype)
        weights[..., : layer.frozen.edge_channels] = both.unflatten(2, (len(product.paths), -1))
        density = None
        if found.density is not None and found.density_slope is not None:
            both = torch.cat([found.density, found.density_slope], dim=1)
            density = both.to(self.device, self.dtype)
        return Table(weights.to(self.device), density)

    def _found(self, state: State, r: Tensor, energy: Tensor, gradient: bool) -> Evaluated:
        N, E, memory = state.num_atoms, state.num_edges, state.memory
        energies = energy.double()
        pair_slope = self.factor
        if self.frozen.model.pair is not None:
            pair = self.frozen.model.pair
            half, pair_slope = (memory.array(x, 0, (E,), torch.float64) for x in ("half", "pair slope"))
            write = Write(
                edge_kernels.pair,
                screening=pair.screening,
                length=pair.length,
                coulomb=pair.coulomb,
                cutoff_power=pair.power,
            )
            self._per_edge(
                Source(edge_kernels.PAIR, torch.float64, write),
                *(r, state.edges.sender, state.out.receiver, state.element, *self.pair, half, pair_slope, E),
            )
            total, R = memory.array("pair", 0, (N,), torch.float64), rows_of(N, 128, r)
            launch(rows.totals, [blocks(N, R)], state.edges.first, half, total, N, ROWS=R)
            energies = energies + total
        energies = energies * self.factor + self.base[state.element] + state.kinds.offset[state.kind]
        if not gradient:
            return Evaluated(energies, None)
        g = torch.empty_like(r)
        has_pair = self.frozen.model.pair is not None
        write = Write(edge_kernels.geometry_reverse, l_max=self.frozen.config.l_max, pair=has_pair)
        self._per_edge(
            Source(edge_kernels.REVERSE, self.dtype, write),
            *(r, state.gY, state.slope, pair_slope, self.factor, g, len(state.gY), E),
        )
        return Evaluated(energies, g)

    # -- passes

    def _blocks(self, state: State) -> Iterator[Block]:
        several = len(state.groups) > 1
        for number, groups in enumerate(state.groups):
            begin = number * self.block
            end = min(begin + self.block, state.num_atoms)

            def scratch(name: str, layer: int, size: int, atoms: int = end - begin) -> Tensor:
                name = f"{_SHARED.get(name, name)} of a block"
                return state.memory.array(name, -1 if several else layer, (atoms, size))

            yield Block(state, begin, end, groups, scratch)

    def _read_out(self, b: Block, table: Table, energy: Tensor) -> None:
        """The last layer forward, and the gradients by what it hands on."""
        layer = self.layers[-1]
        layer.forward(b, table)
        size, after = layer.layout.carry_size, len(self.layers)
        hidden = b.of_all("carry", after, size)
        found = self.readout(hidden[:, : self.width])
        torch.add(found.energy, hidden[:, self.width], out=energy[b.begin : b.end])
        g = b.of_all("gcarry", after, size).zero_()
        g[:, : self.width] = found.gradient
        g[:, self.width] = 1.0

    def _density(self, state: State, table: Table, grho: Tensor) -> None:
        write = Write(edge_kernels.density_reverse, knot=table.numbers)
        self._per_edge(
            Source(edge_kernels.DENSITY, self.dtype, write),
            *(state.out.receiver, state.knot, state.s, table.density, grho, state.slope, state.num_edges),
        )

    def _per_edge(self, source: Source, *arguments: object) -> None:
        edges = arguments[-1]
        assert isinstance(edges, int)
        E = edges_at_once(self.law)
        launch(source, [blocks(edges, E)], *arguments, EDGES=E)


# scratch memory of which one is no longer needed when the other is written
_SHARED = {"gy": "y", "gB": "B"}

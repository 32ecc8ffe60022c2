"""Evaluation of a frozen model by compiled kernels: energies, and their derivatives by edge vectors.

Atoms are worked through in blocks, each of them by one thread from the messages to what is handed on. The
reverse pass follows the same blocks backwards; in the last layer it comes at once, so that nothing of that is
kept. Per atom, memory is that of the other layers' messages, gates and products, and never grows with edges
times paths or channels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from crossfield.graph import Graph
from crossfield.inference import tables
from crossfield.inference.freeze import Frozen, Kinds
from crossfield.inference.last import Readout
from crossfield.inference.layer import LARGEST_BLOCK, Block, Kernels, Layer, State, Table
from crossfield.inference.layout import filled, padded_kinds
from crossfield.inference.memory import Memory
from crossfield.inference.results import Evaluated
from crossfield.kernels.native import build, harmonics, pool
from crossfield.kernels.native.build import PRECISIONS, Source
from crossfield.kernels.native.tensor_product import GIVEN, SPLINE

WORTH_A_THREAD = 32_768  # features of atoms; measured at 128 and 512 channels
BLOCK_BYTES = 1 << 20  # of a block's features, of all l: what a core's second cache holds


class Plan:
    """A frozen model with its tables, kernels and memory.

    Args:
        frozen: the model for one head and some elements.
        dtype: float32 or float64.
        radial: splines of the radial functions; None: they are evaluated for every edge.
    """

    def __init__(
        self,
        frozen: Frozen,
        dtype: torch.dtype,
        radial: tables.Tables | None,
    ) -> None:
        self.frozen, self.dtype, self.radial = frozen, dtype, radial
        self.readout = Readout.of_numpy(frozen.readout, dtype)
        config = frozen.config
        rows = SPLINE if radial is not None else GIVEN
        self.layers = [Layer(f, t, config.channels, dtype, rows) for t, f in enumerate(frozen.layers)]
        self.lanes = self.layers[0].lanes
        source = partial(Source, precision=PRECISIONS[dtype])
        shared = [
            source(harmonics.FORWARD, write=partial(harmonics.forward, l_max=config.l_max)),
            source(harmonics.BACKWARD, write=partial(harmonics.backward, l_max=config.l_max, tangent=False)),
        ]
        sources = [layer.sources() for layer in self.layers]
        compiled = build.functions([*shared, *(s for group in sources for s in group)])
        self._harmonics, self._harmonics_reverse, *rest = compiled
        n = len(Kernels._fields)
        for t, layer in enumerate(self.layers):
            layer.kernels = Kernels(*rest[t * n : (t + 1) * n])
        # an atom's features of all l
        self.block = max(
            8, min(LARGEST_BLOCK, BLOCK_BYTES // (self.layers[0].layout.feature_size * dtype.itemsize))
        )
        self._kinds: Kinds | None = None

    @torch.no_grad()
    def evaluate(self, graph: Graph, r: Tensor, memory: Memory, *, gradient: bool = True) -> Evaluated:
        """Energies of atoms, and their derivatives by edge vectors.

        Args:
            graph: structures of the plan's elements, all for its head, on the CPU.
            r: (E, 3) edge vectors, Å, float64; none shorter than the start of the tables.
            memory: to work in; in the hands of nobody else meanwhile.
            gradient: whether to find the derivatives.
        """
        self._array, self._scratch = memory.array, memory.scratch
        d = torch.linalg.vector_norm(r, dim=1)
        unit = (r / d.unsqueeze(1)).T.contiguous()  # (3, E)
        state = self._state(graph, d, unit, gradient)
        last = len(self.layers) - 1
        for t in range(last):
            self._pass(state, partial(self._forward, d, graph, t))
        self._pass(state, partial(self._last, d, graph, gradient))
        if gradient:
            for t in reversed(range(last)):
                self._pass(state, partial(self._reverse, d, graph, t))
        slope64 = None
        frozen, model = self.frozen, self.frozen.model
        energies = state.energy.double() * frozen.scale
        if model.pair is not None:
            pair, slope64 = self._pair(graph, d)
            energies = energies + pair * frozen.scale
        z = frozen.elements[state.element]
        energies = (
            energies + model.E0[frozen.head, z] + model.shift[frozen.head] + state.kinds.offset[state.kind]
        )
        if not gradient:
            return Evaluated(energies, None)
        return Evaluated(energies, self._gradient(state, unit, d, slope64))

    # -- before and after

    def _state(self, graph: Graph, d: Tensor, unit: Tensor, gradient: bool) -> State:
        N, E = graph.num_atoms, graph.num_edges
        frozen, dtype = self.frozen, self.dtype
        stride = filled(E, self.lanes) + 64  # kernels read past the end of an atom's edges
        element_of = torch.full((len(frozen.config.elements),), -1)
        element_of[frozen.elements] = torch.arange(len(frozen.elements))
        element = element_of[frozen.model.element_of[graph.Z]]
        kind = element
        if frozen.kinds_vary:
            kind = element + graph.structure * len(frozen.elements)
        first = torch.zeros(N + 1, dtype=torch.int64)
        torch.cumsum(torch.bincount(graph.receiver, minlength=N), 0, out=first[1:])
        t = self._array("t", 0, (stride,))
        knot = self._array("knot", 0, (max(E, 1),), torch.int64)
        if self.radial is not None:
            x = (d - self.radial.start) / self.radial.step
            whole = x.floor().clamp_(0, self.radial.rows - 4)
            t[:E] = x - whole
            pair = element[graph.sender] * len(frozen.elements) + element[graph.receiver]
            torch.add(whole.long(), pair, alpha=self.radial.rows, out=knot[:E])
            knot[:E] *= 2  # of every knot there are two rows
        else:
            torch.mul(torch.arange(E), 2, out=knot[:E])
        widths = torch.zeros(3, stride, dtype=dtype)
        widths[:, :E] = unit
        Y = self._array("Y", 0, ((frozen.config.l_max + 1) ** 2, stride))
        self._harmonics(E, stride, widths.data_ptr(), Y.data_ptr())
        work = torch.bincount(graph.receiver, minlength=N) + 30  # an atom without edges is work, too
        gY = self._array("gY", 0, tuple(Y.shape))
        slope = self._array("slope", 0, (stride,))
        if gradient:
            gY.zero_()
            slope.zero_()
        # threads cost more than they bring where there is little to do, and torch has its own without tables
        parts = max(1, min(pool.threads(), N * self.layers[0].layout.feature_size // WORTH_A_THREAD))
        parts = parts if self.radial is not None else 1
        self._parts = pool.cut(work.numpy(), parts) if N else []
        return State(
            first=first,
            sender=graph.sender.contiguous(),
            kind=kind.contiguous(),
            kind_of_sender=kind[graph.sender],
            element=element.contiguous(),
            kinds=self._padded_kinds(graph),
            stride=stride,
            Y=Y,
            gY=gY,
            slope=slope,
            knot=knot,
            t=t,
            arrays=self._kept_arrays(N, gradient),
            energy=torch.zeros(N, dtype=dtype),
        )

    def _kept_arrays(self, N: int, gradient: bool) -> dict[tuple[str, int], Tensor]:
        """What outlives a block of atoms."""
        found = {("zero", 0): torch.zeros(N, dtype=torch.int64)}
        last = len(self.layers) - 1
        for t, layer in enumerate(self.layers):
            found["inverse", t] = self._array("inverse", t, (N, 1))
            if t:
                found["u", t] = self._array("u", t, (N, layer.layout.u_in_size))
                found["carry", t] = self._array("carry", t, (N, layer.layout.carry_in_size))
            if gradient and t:
                found["gu", t] = self._array("gu", t, (len(self._parts), N, layer.layout.u_in_size)).zero_()
                found["gcarry", t] = self._array("gcarry", t, (N, layer.layout.carry_in_size))
            if gradient and t < last:
                if layer.frozen.divisor is not None:
                    found["m", t] = self._array("m", t, (N, layer.layout.message_size))
                found["A", t] = self._array("A", t, (N, layer.layout.feature_size))
            if gradient and t < last and layer.layout.gated:
                found["x", t] = self._array("x", t, (N, layer.layout.gate_size))
        return found

    def _padded_kinds(self, graph: Graph) -> Kinds:
        if self._kinds is not None and not self.frozen.kinds_vary:
            return self._kinds
        found = self.frozen.kinds(graph)
        self._kinds = padded_kinds(found, self.frozen.config.channels, self.lanes, self.dtype)
        return self._kinds

    def _pair(self, graph: Graph, d: Tensor) -> tuple[Tensor, Tensor]:
        """Pair repulsion of atoms, and its derivative by the length of edges."""
        pair = self.frozen.model.pair
        assert pair is not None
        radii: Tensor = pair.get_buffer("radii")
        near = torch.nonzero(d < radii[graph.Z[graph.sender]] + radii[graph.Z[graph.receiver]]).squeeze(1)
        slope = torch.zeros_like(d)
        if not len(near):
            return d.new_zeros(graph.num_atoms), slope
        with torch.enable_grad():
            x = d[near].requires_grad_()
            energies = pair(x, graph.Z, graph.sender[near], graph.receiver[near])
            (slope[near],) = torch.autograd.grad(energies.sum(), x)
        return energies.detach(), slope

    def _gradient(self, state: State, unit: Tensor, d: Tensor, slope: Tensor | None) -> Tensor:
        E = len(d)
        stride = state.stride
        widths = torch.zeros(3, stride, dtype=self.dtype)
        widths[:, :E] = unit
        g_unit = torch.zeros(3, stride, dtype=self.dtype)
        self._harmonics_reverse(E, stride, widths.data_ptr(), state.gY.data_ptr(), g_unit.data_ptr())
        g = g_unit[:, :E].double()
        along = (g * unit).sum(dim=0)
        by_length = state.slope[:E].double()
        if slope is not None:
            by_length = by_length + slope * self.frozen.scale
        return (g / d + unit * (by_length - along / d)).T

    # -- passes

    def _pass(self, state: State, work: Callable[[Block], None]) -> None:
        """Do some work for all atoms, block by block, shared among the threads."""
        scratch = [self._scratch(part) for part in range(len(self._parts))]

        def one(part: int) -> None:
            begin, end = self._parts[part]
            for at in range(begin, end, self.block):
                work(Block(state, scratch[part], part, at, min(at + self.block, end)))

        pool.run(one, len(self._parts))

    def _forward(self, d: Tensor, graph: Graph, t: int, b: Block) -> None:
        self.layers[t].forward(b, self._table(b, d, graph, t))

    def _reverse(self, d: Tensor, graph: Graph, t: int, b: Block) -> None:
        self.layers[t].reverse(b, self._table(b, d, graph, t))

    def _last(self, d: Tensor, graph: Graph, gradient: bool, b: Block) -> None:
        """The last layer, forward and back."""
        layer, table = self.layers[-1], self._table(b, d, graph, len(self.layers) - 1)
        layer.forward(b, table)
        width = self.frozen.first_map.shape[1]  # hidden scalars, and then the energy read out before
        hidden = b.scratch.get("carry", b.size, layer.layout.carry_size)
        found = self.readout(hidden[:, :width].numpy())
        b.state.energy[b.begin : b.end] = torch.from_numpy(found.energy) + hidden[:, width]
        if gradient:
            g = b.scratch.get("gcarry", b.size, layer.layout.carry_size).zero_()
            g[:, :width] = torch.from_numpy(found.gradient)
            g[:, width] = 1.0
            g *= self.frozen.scale
            layer.reverse(b, table)

    def _table(self, b: Block, d: Tensor, graph: Graph, t: int) -> Table:
        """Radial functions of a layer for the edges of a block."""
        if self.radial is not None:
            return Table(self.radial.weights[t], self.radial.densities[t], 0)
        layer = self.layers[t]
        e0, e1 = int(b.state.first[b.begin]), int(b.state.first[b.end])
        z = b.state.element
        sender, receiver = z[graph.sender[e0:e1]], z[graph.receiver[e0:e1]]
        found = tables.evaluate(self.frozen, layer.frozen, d[e0:e1], sender, receiver)
        P, C, Ce = len(layer.layout.product.paths), layer.layout.product.channels, layer.frozen.edge_channels
        weights = torch.zeros(e1 - e0, GIVEN, P, C, dtype=self.dtype)
        for k, values in enumerate((found.weights, found.weights_slope)):
            weights[:, k, :, :Ce] = values.unflatten(1, (P, Ce))
        density = None
        if found.density is not None and found.density_slope is not None:
            density = torch.cat([found.density, found.density_slope], dim=1).to(self.dtype).flatten()
        return Table(weights, density, GIVEN * e0)

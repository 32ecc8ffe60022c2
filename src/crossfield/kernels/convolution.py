"""The channel-wise tensor-product convolution: messages along edges, summed at the receiver."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from crossfield.algebra import Path, clebsch_gordan
from crossfield.kernels.backend import Kernel
from crossfield.kernels.connectivity import Connectivity
from crossfield.kernels.segment import segment_sum


class Convolution(Kernel):
    """m[i, p] = sum over edges j->i of w[p] * CG[p] (h_j, Y), channel by channel and path by path.

    Args:
        paths: couplings (l1 of the sender, l2 of the harmonic, l3 of the message), ordered by l3.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__()
        self.paths = tuple(paths)
        self.l_out = max(path.l3 for path in self.paths)
        for p, (l1, l2, l3) in enumerate(self.paths):
            coupling = torch.from_numpy(clebsch_gordan(l1, l2, l3))  # (2l1+1, 2l2+1, 2l3+1)
            flat = coupling.permute(1, 2, 0).reshape(2 * l2 + 1, -1)
            self.register_buffer(f"coupling_{p}", flat.contiguous(), persistent=False)

    def forward(self, h: list[Tensor], Y: list[Tensor], w: Tensor, edges: Connectivity) -> list[Tensor]:
        """Convolve.

        Args:
            h: sender features, per l1 (N, 2l1+1, C).
            Y: harmonics of the edges, per l2 (E, 2l2+1).
            w: radial weights (E, paths, C).
            edges: who sends to whom.

        Returns:
            Messages, per l3 (N, 2l3+1, paths to l3 * C); channels run within paths.
        """
        if self.backend != "reference":
            return self._compiled(h, Y, w, edges)
        at_sender = [x.index_select(0, edges.sender) for x in h]  # (E, 2l1+1, C)
        messages: list[list[Tensor]] = [[] for _ in range(self.l_out + 1)]
        for p, ((l1, l2, l3), w_path) in enumerate(zip(self.paths, w.unbind(1), strict=True)):
            coupling = Y[l2] @ self.get_buffer(f"coupling_{p}")
            coupling = coupling.view(-1, 2 * l3 + 1, 2 * l1 + 1)
            edge = torch.bmm(coupling, at_sender[l1] * w_path.unsqueeze(1))  # (E, 2l3+1, C)
            messages[l3].append(segment_sum(edge, edges.receiver, edges.num_atoms))
        return [torch.cat(parts, dim=-1) for parts in messages]

    def _compiled(self, h: list[Tensor], Y: list[Tensor], w: Tensor, edges: Connectivity) -> list[Tensor]:
        from crossfield.kernels.operations import convolution, interface

        out = [*edges.outgoing] if interface.of(self.backend).by_sender else []
        paths = [l for path in self.paths for l in path]
        m = convolution(torch.cat(h, dim=1), torch.cat(Y, dim=1).T, w, *edges.edges, out, paths, self.backend)
        paths_to = [sum(p.l3 == l for p in self.paths) for l in range(self.l_out + 1)]
        parts = m.split([(2 * l + 1) * n for l, n in enumerate(paths_to)], dim=1)
        return [
            part.reshape(len(part), 2 * l + 1, n * m.shape[2])
            for l, (part, n) in enumerate(zip(parts, paths_to, strict=True))
        ]

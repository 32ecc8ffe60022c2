"""The channel-wise tensor-product convolution: messages along edges, summed at the receiver."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from crossfield.algebra import Path, clebsch_gordan
from crossfield.kernels.segment import segment_sum


class Convolution(nn.Module):
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

    def forward(
        self, h: list[Tensor], Y: list[Tensor], w: Tensor, sender: Tensor, receiver: Tensor
    ) -> list[Tensor]:
        """Convolve.

        Args:
            h: sender features, per l1 (N, 2l1+1, C).
            Y: harmonics of the edges, per l2 (E, 2l2+1).
            w: radial weights (E, paths, C).
            sender, receiver: (E,) atom indices.

        Returns:
            Messages, per l3 (N, 2l3+1, paths to l3 * C); channels run within paths.
        """
        num_atoms = h[0].shape[0]
        at_sender = [x.index_select(0, sender) for x in h]  # (E, 2l1+1, C)
        messages: list[list[Tensor]] = [[] for _ in range(self.l_out + 1)]
        for p, ((l1, l2, l3), w_path) in enumerate(zip(self.paths, w.unbind(1), strict=True)):
            coupling = Y[l2] @ self.get_buffer(f"coupling_{p}")
            coupling = coupling.view(-1, 2 * l3 + 1, 2 * l1 + 1)
            edge = torch.bmm(coupling, at_sender[l1] * w_path.unsqueeze(1))  # (E, 2l3+1, C)
            messages[l3].append(segment_sum(edge, receiver, num_atoms))
        return [torch.cat(parts, dim=-1) for parts in messages]

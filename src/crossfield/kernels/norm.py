"""Layer normalisation followed by SiLU."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from crossfield.kernels.backend import Kernel


class NormSiLU(Kernel):
    """SiLU(scale * (x - mean) / sqrt(variance + 1e-5) + shift), with mean and variance of each row."""

    def forward(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """Rows (E, width), scale and shift (width,) to (E, width)."""
        if self.backend != "reference":
            from crossfield.kernels.operations import norm_silu

            return norm_silu(x, scale, shift, self.backend)
        return functional.silu(functional.layer_norm(x, scale.shape, scale, shift))

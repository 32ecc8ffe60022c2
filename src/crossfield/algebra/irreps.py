"""Irreducible representations of O(3), of the natural parity (-1)^l that this model family uses."""

from __future__ import annotations

from dataclasses import dataclass

from crossfield.errors import InputError


@dataclass(frozen=True)
class Irreps:
    """How many channels there are of each l; parity is (-1)^l throughout.

    Features with these irreps are a list of tensors, one per l, each `(N, 2l+1, channels[l])`.

    Attributes:
        channels: number of channels of l = 0, 1, ...
    """

    channels: tuple[int, ...]

    @classmethod
    def uniform(cls, channels: int, l_max: int) -> Irreps:
        """The same number of channels for every l up to l_max."""
        return cls((channels,) * (l_max + 1))

    @classmethod
    def parse(cls, text: str) -> Irreps:
        """From the usual notation, such as "128x0e+128x1o".

        Raises:
            InputError: not that notation, none, a negative count, repeated l, or an unnatural parity.
        """
        import cuequivariance as cue

        try:
            terms = [(mul, ir.l, ir.p) for mul, ir in cue.Irreps("O3", text)]
        except (ValueError, TypeError) as error:
            raise InputError(f"cannot read irreps {text!r}; write them like '128x0e+128x1o'") from error
        if not terms or any(mul < 0 for mul, _, _ in terms):
            raise InputError(f"irreps {text!r}: there must be some, with counts from 0")
        if any(p != (-1) ** l for _, l, p in terms):
            raise InputError(f"irreps {text!r}: parity must be (-1)^l (0e, 1o, 2e, ...)")
        if len({l for _, l, _ in terms}) != len(terms):
            raise InputError(f"irreps {text!r}: each l may appear once")
        by_l = {l: mul for mul, l, _ in terms}
        return cls(tuple(by_l.get(l, 0) for l in range(max(by_l) + 1)))

    @property
    def l_max(self) -> int:
        return len(self.channels) - 1

    @property
    def dim(self) -> int:
        """Numbers per atom."""
        return sum((2 * l + 1) * mul for l, mul in enumerate(self.channels))

    def __str__(self) -> str:
        return "+".join(f"{mul}x{l}{'eo'[l % 2]}" for l, mul in enumerate(self.channels) if mul)

"""Who sends to whom, in the orders that kernels go through."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor


class Edges(NamedTuple):
    """Who sends and who receives."""

    sender: Tensor  # (E,) index of an atom, int64
    first: Tensor  # (N+1,) number of each atom's first edge as receiver, int64


class Outgoing(NamedTuple):
    """Edges in the order of their senders."""

    first: Tensor  # (N+1,) number of each atom's first edge as sender, in this order, int64
    order: Tensor  # (E,) the edges, int64
    receiver: Tensor  # (E,) of every edge, in the order of receivers, int64

    @classmethod
    def of(cls, edges: Edges) -> Outgoing:
        """Found by sorting."""
        atoms = torch.arange(len(edges.first), device=edges.first.device)
        sender, order = edges.sender.sort(stable=True)
        number = torch.arange(len(order), device=order.device)
        return cls(
            first=torch.searchsorted(sender, atoms),
            order=order,
            receiver=torch.searchsorted(edges.first, number, right=True) - 1,
        )


@dataclass(frozen=True, eq=False)
class Connectivity:
    """The edges of a batch: made once for an evaluation, by all of whose layers and derivatives it is used.

    What a back end does not ask for is not found.

    Attributes:
        sender, receiver: (E,) index of an atom, int64; receivers ascend.
        num_atoms: how many atoms there are.
    """

    sender: Tensor
    receiver: Tensor
    num_atoms: int

    @cached_property
    def edges(self) -> Edges:
        """By receiver.

        Raises:
            ValueError: receivers do not ascend.
        """
        # where numbers lie on another device, looking at them would wait for it
        if self.receiver.device.type == "cpu" and not bool((self.receiver.diff() >= 0).all()):
            raise ValueError("receivers must ascend")
        atoms = torch.arange(self.num_atoms + 1, device=self.receiver.device)
        return Edges(self.sender.contiguous(), torch.searchsorted(self.receiver.contiguous(), atoms))

    @cached_property
    def outgoing(self) -> Outgoing:
        """By sender."""
        return Outgoing.of(self.edges)

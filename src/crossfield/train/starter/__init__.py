"""A first configuration, written after looking at the data."""

from crossfield.train.starter.request import Request
from crossfield.train.starter.starter import Starter, starter

__all__ = ["Request", "Starter", "starter"]

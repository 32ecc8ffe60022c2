"""Structures as the model sees them."""

from crossfield.graph.build import build_graph
from crossfield.graph.graph import Graph, collate
from crossfield.graph.neighbours import NO_EDGES, TOO_CLOSE, Edges, neighbour_list
from crossfield.graph.search import connect, searcher
from crossfield.graph.skin import Kept, SkinList

__all__ = [
    "NO_EDGES",
    "TOO_CLOSE",
    "Edges",
    "Graph",
    "Kept",
    "SkinList",
    "build_graph",
    "collate",
    "connect",
    "neighbour_list",
    "searcher",
]

"""Structures as the model sees them."""

from crossfield.graph.build import build_graph
from crossfield.graph.graph import Graph, collate
from crossfield.graph.neighbours import Edges, neighbour_list
from crossfield.graph.skin import SkinList

__all__ = ["Edges", "Graph", "SkinList", "build_graph", "collate", "neighbour_list"]

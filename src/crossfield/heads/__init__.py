"""Heads and elements of a model: add, take away, rename, order, join. All of them give a new model."""

from crossfield.heads.elements import add_elements, only_elements
from crossfield.heads.entries import element_masks, head_masks
from crossfield.heads.likeness import most_alike
from crossfield.heads.merge import merge
from crossfield.heads.surgery import (
    add_head,
    keep_heads,
    remove_heads,
    rename_head,
    renamed,
    replace_head,
    with_default,
)

__all__ = [
    "add_elements",
    "add_head",
    "element_masks",
    "head_masks",
    "keep_heads",
    "merge",
    "most_alike",
    "only_elements",
    "remove_heads",
    "rename_head",
    "renamed",
    "replace_head",
    "with_default",
]

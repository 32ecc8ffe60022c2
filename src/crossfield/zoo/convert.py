"""From a file of mace-torch to a checkpoint of our own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from crossfield.theory import get_theory, head_index
from crossfield.zoo import checkpoint, mace
from crossfield.zoo.download import file_sha256
from crossfield.zoo.published import Published

VERSION = 1  # of the conversion; another one converts cached files anew


def convert(
    source: Path,
    target: Path,
    *,
    published: Published | None = None,
    facts: Mapping[str, object] | None = None,
    theories: Mapping[str, str] | None = None,
    default_head: str | None = None,
) -> None:
    """Convert a `.model` file of mace-torch, a state dict, or a training checkpoint.

    Args:
        source: the file to read.
        target: the checkpoint to write, atomically.
        published: the entry of the registry that the file is, which names theories and the default head.
        facts: what a state dict does not say, see `crossfield.zoo.mace.Facts`.
        theories: names of known theories, by head.
        default_head: the head that answers where none is asked for.

    Raises:
        InputError: see `crossfield.zoo.mace.read`; or an unknown theory or head.
    """
    imported = mace.read(source, facts)
    model = imported.model
    named = {head_index(model.heads, head): get_theory(name) for head, name in (theories or {}).items()}
    if published is not None:
        found = published.theories()
        if len(found) == len(model.heads) == 1:  # whatever its name is in the file
            named[0] = next(iter(found.values()))
        named |= {i: found[head.name] for i, head in enumerate(model.heads) if head.name in found}
        default_head = default_head or (published.default_head if len(model.heads) > 1 else None)
    model.heads = tuple(
        head.model_copy(update={"theory": named[i]}) if i in named else head
        for i, head in enumerate(model.heads)
    )
    if default_head is not None:
        model.default_head = model.heads[head_index(model.heads, default_head)].name
    provenance: dict[str, object] = {
        "imported": {
            "file": source.name,
            "sha256": file_sha256(source),
            "kind": f"mace-torch {imported.kind}",
            "facts": imported.facts.model_dump(mode="json"),
        }
    }
    if published is not None:
        provenance["published"] = published.model_dump(mode="json")
    checkpoint.save(target, model, provenance)

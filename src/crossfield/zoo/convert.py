"""From a file of mace-torch to a checkpoint of our own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from crossfield.errors import InputError
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
    digest: str | None = None,
) -> None:
    """Convert a `.model` file of mace-torch, a state dict, or a training checkpoint.

    Args:
        source: the file to read.
        target: the checkpoint to write, atomically.
        published: the entry of the registry that the file is, which names theories and the default head.
        facts: what a state dict does not say, see `crossfield.zoo.mace.Facts`.
        theories: names of known theories, by head.
        default_head: the head that answers where none is asked for.
        digest: SHA-256 that the file must have; None: any.

    Raises:
        InputError: see `crossfield.zoo.mace.read`; or an unknown theory or head, or a file that was replaced
            while it was read.
    """
    if digest is None and source.is_file():  # else the reader says what is wrong
        digest = file_sha256(source)
    imported = mace.read(source, facts)
    if file_sha256(source) != digest:
        raise InputError("the file was replaced while it was read; try again", file=source)
    model = imported.model
    named = {head_index(model.heads, head): get_theory(name) for head, name in (theories or {}).items()}
    if published is not None:
        found = published.theories()
        if len(found) == len(model.heads) == 1:  # whatever its name is in the file
            named[0] = next(iter(found.values()))
        named |= {i: found[head.name] for i, head in enumerate(model.heads) if head.name in found}
        if default_head is None and any(head.name == published.default_head for head in model.heads):
            default_head = published.default_head
    model.heads = tuple(
        head.model_copy(update={"theory": named[i]}) if i in named else head
        for i, head in enumerate(model.heads)
    )
    if default_head is not None:
        model.default_head = model.heads[head_index(model.heads, default_head)].name
    provenance: dict[str, object] = {
        "imported": {
            "file": source.name,
            "sha256": digest,
            "kind": f"mace-torch {imported.kind}",
            "facts": imported.facts.model_dump(mode="json"),
        }
    }
    if published is not None:
        provenance["published"] = published.model_dump(mode="json")
    checkpoint.save(target, model, provenance)

"""Models that a command about heads reads and writes, with a record of what was done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossfield.cli.outputs import check_output

if TYPE_CHECKING:
    from crossfield.model import Model

OutOption = Annotated[
    Path, typer.Option("--output", "-o", metavar="OUT", help="Checkpoint to write.", show_default=False)
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="OUT may be MODEL itself.")]


@dataclass(frozen=True)
class Given:
    """A model as it was read."""

    model: Model
    provenance: dict[str, Any]
    source: dict[str, str]  # name of the file, and checksum of its weights

    @property
    def data(self) -> dict[str, Any]:
        """What its heads were trained on, by head."""
        data = self.provenance.get("data")
        if not isinstance(data, dict):
            return {}
        return {head.name: data[head.name] for head in self.model.heads if head.name in data}


def open_model(name: str, out: Path, *, overwrite: bool) -> Given:
    """Read a model from which another one will be written.

    Args:
        name: as every command takes a model.
        out: the file that will be written.
        overwrite: whether it may be the model itself; a file of mace-torch is never replaced.

    Raises:
        InputError: there is no such model, or `out` cannot be written.
    """
    from crossfield.zoo import checkpoint
    from crossfield.zoo.fetch import local_model

    check_output(out)  # before anything is downloaded
    given, path = Path(name), local_model(name)
    own = path == given  # else it is a published model, or a file of mace-torch
    check_output(out, [] if own and overwrite else [given, path])
    model, metadata = checkpoint.load(path), checkpoint.read_metadata(path)
    provenance = metadata.get("provenance")
    return Given(
        model=model,
        provenance=provenance if isinstance(provenance, dict) else {},
        source={"file": given.name, "weights_sha256": str(metadata.get("sha256"))},
    )


def write_model(
    out: Path,
    model: Model,
    given: Given,
    record: Mapping[str, object],
    *,
    data: Mapping[str, Any] | None = None,
) -> None:
    """Write the new model, and show its heads.

    Args:
        out: the file.
        model: the new model.
        given: the one it was made from, whose provenance is carried over.
        record: what was done; joins the list `surgery` of the provenance.
        data: what heads were trained on, by their present names; None: names are as before.
    """
    from crossfield.cli.heads_list import show_heads
    from crossfield.zoo import checkpoint

    done = given.provenance.get("surgery")
    provenance = {
        **given.provenance,
        "surgery": [*(done if isinstance(done, list) else []), {**record, **given.source}],
    }
    data = given.data if data is None else data
    if data:
        provenance["data"] = {head.name: data[head.name] for head in model.heads if head.name in data}
    out.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.save(out, model, provenance)
    show_heads(model)

"""A selection as a file: extended XYZ that reads back to the last digit, and where it came from beside it."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ase.data import chemical_symbols
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from crossfield.data.frame import Frame
from crossfield.data.source import Keys
from crossfield.errors import InputError
from crossfield.files import replacing
from crossfield.replay.selection import Selection, SelectionRecord
from crossfield.theory import check_parity
from crossfield.zoo.download import file_sha256

FORMAT_VERSION = 1
_LIBRARIES = ("crossfield", "torch", "numpy", "ase")
_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+./")


class WrittenSelection(BaseModel):
    """The provenance of a file of selected structures.

    Attributes:
        format_version: of this description.
        sha256: SHA-256 of the file.
        selection: how the structures were chosen.
        files: SHA-256 of the files they were chosen from; null for one that was not there any more.
        provenance: what else was written down by whoever chose them.
        versions: of Crossfield and the libraries it was written with.
        written: date and time, ISO 8601.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int
    sha256: str
    selection: SelectionRecord
    files: dict[str, str | None]
    provenance: dict[str, Any]
    versions: dict[str, str]
    written: str


def write_selection(
    path: Path,
    frames: Sequence[Frame],
    selection: Selection,
    provenance: Mapping[str, object],
    *,
    assumed: bool = False,
) -> None:
    """Write what was selected, each file atomically.

    `path` gets the structures with all that is known of them, and their origin as `source_file` and
    `source_frame`; `read_source` gives the same frames again, digit by digit. `path` with ".json" after it
    gets the provenance: the record of the selection, files with their SHA-256, versions and date.

    Args:
        path: extended XYZ to write, compressed if it ends in .gz; its folder must exist.
        frames: what was selected from.
        selection: what was chosen.
        provenance: more to write down, such as the model of the descriptors; anything that JSON can hold.
        assumed: the frames were read without a theory, so that charge 0 and spin 1 may be what was assumed.
            They are not written then, or they would be taken for stated.

    Raises:
        InputError: a group, domain or theory that a line of text cannot hold, naming the frame.
    """
    chosen = [frames[k] for k in selection.indices]
    sources = {file: _sha256(Path(file)) for file in sorted({frame.file for frame in frames})}
    with replacing(path) as temporary:
        _write_text(temporary, "".join(_text_of(frame, assumed=assumed) for frame in chosen))
    record = WrittenSelection(
        format_version=FORMAT_VERSION,
        sha256=file_sha256(path),
        selection=selection.record,
        files={_printable(file): digest for file, digest in sources.items()},
        provenance=dict(provenance),
        versions={name: version(name) for name in _LIBRARIES},
        written=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    with replacing(record_path(path)) as temporary:
        temporary.write_text(record.model_dump_json(indent=1) + "\n")


def record_path(path: Path) -> Path:
    """Where the provenance of a written selection is."""
    return path.with_name(f"{path.name}.json")


def read_record(path: Path) -> WrittenSelection:
    """The provenance of a written selection.

    Raises:
        InputError: there is none, it is damaged, or the structures were changed since.
    """
    record = record_path(path)
    if not path.is_file():
        raise InputError("no such file", file=path)
    if not record.is_file():
        raise InputError(f"not a selection: there is no {record.name} beside it", file=path)
    try:
        found = WrittenSelection.model_validate_json(record.read_bytes())
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise InputError(
            f"not the provenance of a selection, or damaged ({where}: {fault['msg']})", file=record
        ) from error
    if found.format_version != FORMAT_VERSION:
        raise InputError(
            f"format version {found.format_version} is not known here; install a newer crossfield",
            file=record,
        )
    if found.sha256 != file_sha256(path):
        raise InputError(f"the structures were changed since {record.name} was written", file=path)
    return found


def _sha256(path: Path) -> str | None:
    return file_sha256(path) if path.is_file() else None


def _write_text(path: Path, text: str) -> None:
    with path.open("wb") as file:
        if path.suffix != ".gz":
            file.write(text.encode())
            return
        # without name and time: the same frames are the same bytes
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
            packed.write(text.encode())


def _text_of(frame: Frame, *, assumed: bool) -> str:
    """A frame as text; every number has the digits that it needs to be read again as it was."""
    out = io.StringIO()
    comment = " ".join(f"{key}={_quoted(value)}" for key, value in _info(frame, assumed=assumed))
    out.write(f"{frame.num_atoms}\n{comment}\n")
    for k, Z in enumerate(frame.Z):
        row = [*frame.positions[k], *(() if frame.forces is None else frame.forces[k])]
        out.write(" ".join([chemical_symbols[Z], *(repr(float(x)) for x in row)]) + "\n")
    return out.getvalue()


def _info(frame: Frame, *, assumed: bool) -> Iterator[tuple[str, str]]:
    """Keys and values of the comment line, under the names that are read by default."""
    keys = Keys()
    if frame.cell.any():
        yield "Lattice", _numbers(frame.cell)
    yield "Properties", "species:S:1:pos:R:3" + ("" if frame.forces is None else f":{keys.forces}:R:3")
    yield "pbc", " ".join("FT"[int(periodic)] for periodic in frame.pbc)
    if frame.energy is not None:
        yield str(keys.energy), repr(float(frame.energy))
    if frame.stress is not None:
        yield str(keys.stress), _numbers(frame.stress)
        yield "stress_unit", "eV/A^3"  # which lets a large one be believed
    for name in ("theory", "domain", "group"):
        if text := getattr(frame, name):
            yield str(getattr(keys, name)), _line(text, name, frame)
    if not (assumed and frame.charge == 0):
        yield str(keys.charge), str(frame.charge)
    if not (assumed and frame.spin == 1) and _possible(frame):
        yield str(keys.spin), str(frame.spin)
    own = frame.weights
    weights = (own.structure, own.energy, own.forces, own.stress)
    for key, weight in zip(
        (keys.weight, keys.energy_weight, keys.forces_weight, keys.stress_weight), weights
    ):
        if weight != 1.0:
            yield str(key), repr(float(weight))
    for name, value in sorted(frame.inputs.items()):
        yield keys.of_input(name), repr(float(value))
    yield "source_file", _printable(frame.file)
    yield "source_frame", str(frame.index)


def _possible(frame: Frame) -> bool:
    """Whether the electrons can have this spin; else it stands for one that the theory ignores."""
    try:
        check_parity(int(frame.Z.sum()), frame.charge, frame.spin)
    except InputError:
        return False
    return True


def _numbers(values: NDArray[Any]) -> str:
    return " ".join(repr(float(x)) for x in values.flat)


def _line(text: str, what: str, frame: Frame) -> str:
    if any(c in text for c in "\n\r\0") or text != text.strip():
        raise InputError(
            f"the {what} {text[:40]!r} cannot be written in a line of text",
            file=frame.file,
            frame=frame.index,
        )
    return text


def _printable(file: str) -> str:
    """The name of a file, which may hold anything, as a line of text."""
    text = os.fsencode(file).decode(errors="backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _quoted(text: str) -> str:
    """A value of a comment line, in quotes if it has anything in it but letters, digits and the like."""
    if text and set(text) <= _BARE:
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

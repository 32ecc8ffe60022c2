"""`crossfield replay select`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossfield.cli.inputs import parse_keys, show_rejected
from crossfield.cli.options import (
    BackendOption,
    DeviceOption,
    DtypeOption,
    KeyOption,
    SkipOption,
    ThreadsOption,
    use_threads,
)
from crossfield.cli.outputs import check_output
from crossfield.errors import InputError
from crossfield.messages import progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from crossfield.data.frame import Frame
    from crossfield.data.read import Reading
    from crossfield.data.source import Source
    from crossfield.inference.potential import Potential
    from crossfield.replay import SelectionConfig
    from crossfield.theory import Theory

HELP = """Choose structures to replay, and write them with their origin.

With --theory, DATA are labelled frames of that theory and keep their labels.
Without it they are structures of any origin; `crossfield replay label` gives
them labels of the base model. --elements compares the elements of a
structure with those of the new data, --of: combinations (no others),
inclusive (all of them, and perhaps others), exclusive (exactly those).

[bold]Examples[/bold]
  crossfield replay select a.xyz --model best.safetensors --count 99 -o b.xyz
  crossfield replay select a.xyz --method random --count 500 -o b.xyz.gz
  crossfield replay select a.xyz --elements exclusive --of new.xyz -o b.xyz
  crossfield replay select a.xyz --theory omat_pbe --method all -o b.xyz
"""

FileList = Annotated[
    list[Path], typer.Argument(metavar="DATA", help="Extended XYZ, gzipped or not.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help=HELP, short_help="Choose structures to replay.")
    def select(
        data: FileList,
        output: Annotated[
            Path,
            typer.Option(
                "--output", "-o", metavar="OUT", help="Extended XYZ; .gz is compressed.", show_default=False
            ),
        ],
        theory: Annotated[
            str | None,
            typer.Option("--theory", help="Keep labels, those of this theory.", show_default=False),
        ] = None,
        method: Annotated[
            str, typer.Option("--method", help="farthest, random, stratified or all.")
        ] = "farthest",
        count: Annotated[
            int | None,
            typer.Option("--count", min=1, help="How many; all if left out.", show_default=False),
        ] = None,
        elements: Annotated[
            str, typer.Option("--elements", help="none, combinations, inclusive or exclusive.")
        ] = "none",
        of: Annotated[
            list[Path] | None,
            typer.Option("--of", metavar="FILE", help="The new data. May be repeated.", show_default=False),
        ] = None,
        seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed chooses others.")] = 0,
        model: Annotated[
            str | None,
            typer.Option("--model", help="Base model; farthest compares what it sees.", show_default=False),
        ] = None,
        head: Annotated[
            str | None,
            typer.Option("--head", help="Head of the base that is kept.", show_default=False),
        ] = None,
        key: KeyOption = None,
        skip_bad: SkipOption = False,
        unit_check: Annotated[
            bool,
            typer.Option(
                "--unit-check/--no-unit-check", help="Compare the frames with each other for mixed units."
            ),
        ] = True,
        device: DeviceOption = "auto",
        dtype: DtypeOption = None,
        backend: BackendOption = "auto",
        threads: ThreadsOption = None,
    ) -> None:
        from rich.console import Console

        from crossfield.data.source import Source
        from crossfield.replay import select, write_selection
        from crossfield.replay.written import record_path
        from crossfield.zoo import load

        others = of or []
        for path in (output, record_path(output)):
            check_output(path, [*data, *others])
        config = _config(method, count, elements, seed)
        _check_options(config, others, model, head)
        source = Source(
            files=tuple(data),
            keys=parse_keys(key or []),
            bad_frames="list" if skip_bad else "stop",
            check_units=unit_check,
        )
        use_threads(threads)
        potential = None
        if model is not None:
            potential = load(model, head=head, device=device, dtype=dtype, backend=backend)
        answered = None if potential is None else set(potential.theory_head().E0)
        new = _elements(others)
        reading = _read(source, theory, potential)
        found = select(
            reading.frames,
            config,
            elements=new,
            answered=answered,
            descriptors=lambda frames: _described(potential, frames),
        )
        output.parent.mkdir(parents=True, exist_ok=True)
        write_selection(
            output,
            reading.frames,
            found,
            _provenance(theory, others, model, potential),
            assumed=theory is None and potential is None,
        )
        console = Console(soft_wrap=True, highlight=False, markup=False)
        show_rejected(console, reading.rejected)
        if reading.isolated:
            console.print(f"not used: {len(reading.isolated)} isolated atoms, which only give E0")
        for line in found.record.lines():
            console.print(line)
        console.print(f"written to {output}, its origin to {record_path(output).name}")


def _config(method: str, count: int | None, elements: str, seed: int) -> SelectionConfig:
    from pydantic import ValidationError

    from crossfield.replay import SelectionConfig

    values = {"method": method, "count": count, "elements": elements, "seed": seed}
    try:
        return SelectionConfig.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        where = f"--{fault['loc'][0]}: " if fault["loc"] else ""
        raise InputError(where + fault["msg"].removeprefix("Value error, ")) from error


def _check_options(
    config: SelectionConfig, others: Sequence[Path], model: str | None, head: str | None
) -> None:
    """What does not go together, found before anything is read."""
    if (config.elements == "none") == bool(others):
        raise InputError("--elements and --of go together: the filter, and the new data that it looks at")
    if head is not None and model is None:
        raise InputError("--head is one of --model, which is not given")
    if config.method == "farthest" and config.count is not None and model is None:
        raise InputError("--method farthest compares what a model sees: give --model, or another method")


def _read(source: Source, theory: str | None, potential: Potential | None) -> Reading:
    """Labelled frames of a theory, or structures without labels."""
    from crossfield.data.read import Reading, read_source, read_structures

    if theory is not None:
        return read_source(source, _theory(theory, potential))
    asked = None if potential is None else potential.theory_head().theory
    found = [
        read_structures(file, theory=asked, keys=source.keys, bad_frames=source.bad_frames)
        for file in source.files
    ]
    frames = tuple(frame for reading in found for frame in reading.frames)
    return Reading(frames, (), tuple(r for reading in found for r in reading.rejected))


def _theory(name: str, potential: Potential | None) -> Theory:
    """The theory of this name: of a head of the model, or a known one."""
    from crossfield.theory import get_theory

    for head in () if potential is None else potential.model.heads:
        if head.theory.name == name:
            return head.theory
    return get_theory(name)


def _elements(files: Sequence[Path]) -> set[int]:
    from crossfield.data.composition import elements_of
    from crossfield.data.read import read_structures

    return {Z for file in files for Z in elements_of(read_structures(file).frames)}


def _described(potential: Potential | None, frames: Sequence[Frame]) -> NDArray[np.float32]:
    from crossfield.replay import describe

    if potential is None:
        raise AssertionError  # `_check_options` has asked for it
    with progress("comparing", len(frames)) as done:
        return describe(potential, frames, advance=done)


def _provenance(
    theory: str | None, others: Sequence[Path], model: str | None, potential: Potential | None
) -> dict[str, Any]:
    from crossfield.model import fingerprint
    from crossfield.zoo.download import file_sha256

    found: dict[str, Any] = {
        "theory": theory,
        "new_data": {str(file): file_sha256(file) for file in others},
        "model": None,
    }
    if potential is not None:
        head = potential.theory_head().name
        found["model"] = {"name": model, "head": head, "fingerprint": fingerprint(potential.model)}
    return found

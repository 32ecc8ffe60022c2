"""`crossfield predict`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crossfield.cli.inputs import parse_keys, show_rejected, usable_frames
from crossfield.cli.options import (
    BackendOption,
    BatchOption,
    DeviceOption,
    DtypeOption,
    FilesArgument,
    HeadOption,
    KeyOption,
    ModelArgument,
    SkipOption,
    ThreadsOption,
    use_threads,
)
from crossfield.cli.outputs import check_output
from crossfield.errors import InputError
from crossfield.messages import progress

if TYPE_CHECKING:
    from ase import Atoms

    from crossfield.data.frame import Frame
    from crossfield.inference.potential import Potential, Result

HELP = """Predict energy, forces and stress of the structures in files.

Total charge and multiplicity are read from charge and spin of each frame.
The result of NAME.xyz is NAME_predicted.xyz beside it, extended XYZ that ASE
reads back with a calculator attached; --output joins all files in one.

[bold]Examples[/bold]
  crossfield predict best.safetensors structures.xyz --head molecules
  crossfield predict best.safetensors a.xyz b.xyz.gz -o predicted.xyz.gz
"""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help=HELP, short_help="Energy, forces and stress of structures in files.")
    def predict(
        model: ModelArgument,
        files: FilesArgument,
        output: Annotated[
            Path | None,
            typer.Option(
                "--output", "-o", help="One file for all; NAME_predicted.xyz if left out.", show_default=False
            ),
        ] = None,
        head: HeadOption = None,
        key: KeyOption = None,
        skip_bad: SkipOption = False,
        batch_size: BatchOption = None,
        device: DeviceOption = "auto",
        dtype: DtypeOption = None,
        backend: BackendOption = "auto",
        threads: ThreadsOption = None,
    ) -> None:
        from rich.console import Console

        from crossfield.data.read import read_structures
        from crossfield.data.write import write_predictions
        from crossfield.zoo import load

        targets = _targets(files, output)
        for target in targets:
            check_output(target, [Path(model), *files])
        keys = parse_keys(key or [])
        use_threads(threads)
        potential = load(model, head=head, device=device, dtype=dtype, backend=backend)
        chosen = potential.theory_head()
        console = Console(soft_wrap=True, highlight=False, markup=False)
        frames: dict[Path, list[Frame]] = {target: [] for target in targets}
        for file, target in zip(files, targets if output is None else targets * len(files), strict=True):
            reading = read_structures(
                file,
                theory=chosen.theory,
                keys=keys,
                inputs=potential.model.config.extra_inputs,
                bad_frames="list" if skip_bad else "stop",
            )
            usable, unanswered = usable_frames(reading.frames, potential, skip=skip_bad)
            show_rejected(console, [*reading.rejected, *unanswered])
            frames[target] += usable
        with progress("predicting", sum(map(len, frames.values()))) as done:
            for target, group in frames.items():
                atoms, results = _predict(potential, group, batch_size, done)
                target.parent.mkdir(parents=True, exist_ok=True)
                write_predictions(target, atoms, results)
        for target, group in frames.items():
            count = f"{len(group)} structure{'s' if len(group) > 1 else ''}"
            console.print(f"{count} by head {chosen.name}: {target}")


def _targets(files: Sequence[Path], output: Path | None) -> list[Path]:
    """Files to write: one for all, or one beside each input."""
    if output is not None:
        return [output]
    targets = []
    for file in files:
        name = file.name.removesuffix(".gz")
        targets.append(file.with_name(f"{Path(name).stem}_predicted.xyz"))
        if targets[-1] in targets[:-1]:
            raise InputError(f"two inputs would be written to {targets[-1]}; join them with --output")
    return targets


def _predict(
    potential: Potential, frames: Sequence[Frame], batch_size: int | None, done: Callable[[int], None]
) -> tuple[list[Atoms], list[Result]]:
    import numpy as np

    from crossfield.data.batch import in_parts
    from crossfield.data.write import to_atoms

    structures, results = [], []
    potential.expect(np.concatenate([frame.Z for frame in frames]))
    for part in in_parts(frames, batch_size):
        atoms = [to_atoms(frame) for frame in part]
        try:
            results += potential.predict(atoms, batch_size=batch_size or "auto")
        except InputError as error:
            bad = part[error.frame or 0]
            raise InputError(error.message, file=bad.file, frame=bad.index) from error
        structures += atoms
        done(len(part))
    return structures, results

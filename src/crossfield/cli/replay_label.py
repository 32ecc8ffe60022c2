"""`crossfield replay label`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crossfield.cli.inputs import parse_keys, show_rejected
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
from crossfield.messages import progress

if TYPE_CHECKING:
    from crossfield.data.frame import Frame
    from crossfield.data.read import Rejected

HELP = """Have structures labelled by a head of the base model.

OUT remembers what it was made from: model, head, structures, weights,
precision and version. If it exists and all of these are the same, nothing is
computed; if one is not, that is an error unless --overwrite is given. One
frame that cannot be labelled stops it; an interrupted run can be repeated
and goes on where it was.

[bold]Examples[/bold]
  crossfield replay label base.safetensors kept.xyz -o labels.safetensors
  crossfield replay label mace-mh-1 a.xyz b.xyz --head omat_pbe -o labels.st
"""
INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help=HELP, short_help="Have structures labelled by the base model.")
    def label(
        model: ModelArgument,
        files: FilesArgument,
        output: Annotated[
            Path, typer.Option("--output", "-o", metavar="OUT", help="File of labels.", show_default=False)
        ],
        head: HeadOption = None,
        weight: Annotated[
            float, typer.Option("--weight", help="Factor on all that is learnt of these structures.")
        ] = 1.0,
        energy_weight: Annotated[float, typer.Option(help="Factor on their energies.")] = 1.0,
        forces_weight: Annotated[float, typer.Option(help="Factor on their forces.")] = 1.0,
        stress_weight: Annotated[float, typer.Option(help="Factor on their stress.")] = 1.0,
        overwrite: Annotated[
            bool, typer.Option("--overwrite", help="Replace labels of something else.")
        ] = False,
        key: KeyOption = None,
        skip_bad: SkipOption = False,
        batch_size: BatchOption = None,
        device: DeviceOption = "auto",
        dtype: DtypeOption = None,
        backend: BackendOption = "auto",
        threads: ThreadsOption = None,
    ) -> None:
        from rich.console import Console

        from crossfield.data.frame import Weights
        from crossfield.data.read import read_structures
        from crossfield.replay import Interrupted, pseudo_label
        from crossfield.train.interrupt import StopSignal
        from crossfield.zoo import load

        check_output(output, [Path(model), *files])
        keys = parse_keys(key or [])
        use_threads(threads)
        potential = load(model, head=head, device=device, dtype=dtype, backend=backend)
        chosen = potential.theory_head()
        frames: list[Frame] = []
        rejected: list[Rejected] = []
        for file in files:
            reading = read_structures(
                file, theory=chosen.theory, keys=keys, bad_frames="list" if skip_bad else "stop"
            )
            frames += reading.frames
            rejected += reading.rejected
        console = Console(soft_wrap=True, highlight=False, markup=False)
        show_rejected(console, rejected)
        before = output.stat().st_mtime_ns if output.exists() else None
        try:
            with StopSignal() as stop, progress("labelling", len(frames)) as done:
                labelled = pseudo_label(
                    potential,
                    chosen.name,
                    frames,
                    output,
                    weights=Weights(weight, energy_weight, forces_weight, stress_weight),
                    batch_size=batch_size,
                    overwrite=overwrite,
                    advance=done,
                    stop=lambda: stop.received,
                )
        except Interrupted as interrupted:
            console.print(f"interrupted: {interrupted}; repeat the command to go on")
            raise typer.Exit(INTERRUPTED) from interrupted
        stress = sum(frame.stress is not None for frame in labelled)
        again = "read, as they are there already" if before == output.stat().st_mtime_ns else "written"
        console.print(
            f"labels of {len(labelled)} structures by head {chosen.name}, "
            f"{stress} of them with stress, {again}: {output}"
        )

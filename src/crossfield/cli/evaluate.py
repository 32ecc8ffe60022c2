"""`crossfield evaluate`."""

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
    from crossfield.data.frame import Frame
    from crossfield.inference.potential import Potential
    from crossfield.train import Metrics

HELP = """Errors of one head on labelled structures.

Only frames of the head's theory are used; frames that state no theory
count as such. Frames that are not used are listed with the reason.

[bold]Examples[/bold]
  crossfield evaluate best.safetensors test.xyz --head molecules
  crossfield evaluate best.safetensors a.xyz b.xyz.gz --output errors.json
  crossfield evaluate best.safetensors test.xyz --key energy=REF_energy
"""
LARGEST_BATCH = 256


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(help=HELP, short_help="Errors of a head on labelled structures.")
    def evaluate(
        model: ModelArgument,
        files: FilesArgument,
        head: HeadOption = None,
        key: KeyOption = None,
        output: Annotated[
            Path | None,
            typer.Option("--output", "-o", help="Also write the errors as JSON.", show_default=False),
        ] = None,
        skip_bad: SkipOption = False,
        unit_check: Annotated[
            bool,
            typer.Option(
                "--unit-check/--no-unit-check", help="Compare the frames with each other for mixed units."
            ),
        ] = True,
        batch_size: BatchOption = None,
        device: DeviceOption = "auto",
        dtype: DtypeOption = None,
        backend: BackendOption = "auto",
        threads: ThreadsOption = None,
    ) -> None:
        from rich.console import Console

        from crossfield.data.read import read_source
        from crossfield.data.source import Source
        from crossfield.train import error_table
        from crossfield.train.folder import to_json, write_text
        from crossfield.zoo import load

        if output is not None:
            check_output(output, [Path(model), *files])
        keys = parse_keys(key or [])
        use_threads(threads)
        potential = load(model, head=head, device=device, dtype=dtype, backend=backend)
        chosen = potential.theory_head()
        source = Source(
            files=tuple(files), keys=keys, bad_frames="list" if skip_bad else "stop", check_units=unit_check
        )
        reading = read_source(source, chosen.theory)
        if not reading.frames:
            raise InputError("there are isolated atoms only, nothing to evaluate", file=files[0])
        frames, unanswered = usable_frames(reading.frames, potential, skip=skip_bad)
        with progress("evaluating", len(frames)) as done:
            metrics = _errors(potential, frames, batch_size, done)

        console = Console(soft_wrap=True, highlight=False)
        show_rejected(console, [*reading.rejected, *unanswered])
        if reading.isolated:
            console.print(f"not used: {_count(reading.isolated, 'isolated atom')}, which only give E0")
        console.print(error_table({"": metrics}, title=f"Errors on {_count(frames, 'frame')}"))
        if output is not None:
            output.parent.mkdir(parents=True, exist_ok=True)
            write_text(output, to_json(metrics.as_dict(), indent=1) + "\n")
            console.print(f"errors written to {output}", markup=False)


def _errors(
    potential: Potential, frames: Sequence[Frame], batch_size: int | None, done: Callable[[int], None]
) -> Metrics:
    from crossfield.data.batch import Batch, GraphDataset
    from crossfield.train import evaluate_dataset

    class Watched(GraphDataset):
        """Moves the bar with every batch."""

        def batch(self, indices: Sequence[int]) -> Batch:
            done(len(indices))
            return super().batch(indices)

    index = potential.heads.index(potential.theory_head().name)
    inputs = potential.model.config.extra_inputs
    dataset = Watched(frames, [index] * len(frames), potential.cutoff, inputs)
    if batch_size is None:
        # without moving the bar
        edges = max(GraphDataset.batch(dataset, [k]).graph.num_edges for k in range(len(dataset)))
        batch_size = min(max(1, potential.edges_at_once // max(1, edges)), LARGEST_BATCH)
    return evaluate_dataset(potential.model, dataset, batch_size)


def _count(items: Sequence[object], name: str) -> str:
    return f"{len(items)} {name}{'' if len(items) == 1 else 's'}"

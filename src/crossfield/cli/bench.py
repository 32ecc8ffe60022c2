"""`crossfield bench`: what a model can do (bench_domain), and what it costs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossfield.cli.bench_domain import register_domain
from crossfield.cli.group import add_group
from crossfield.cli.options import (
    BackendOption,
    DeviceOption,
    DtypeOption,
    HeadOption,
    ThreadsOption,
    use_threads,
)
from crossfield.errors import InputError
from crossfield.messages import progress

if TYPE_CHECKING:
    from ase import Atoms

    from crossfield.bench.speed import Speed
    from crossfield.inference.potential import Potential

GROUP_HELP = "Measure what a model can do, and what it costs."
SPEED_HELP = """Time of energy, forces and stress, and of a step of molecular dynamics.

Built-in structures of 2 to 192 atoms are timed, those whose elements the
head knows; with --large, 512 and 864 atoms too. Without MODEL the weights
are random, and the size is that of MACE-MH-1.

[bold]Examples[/bold]
  crossfield bench speed
  crossfield bench speed mace-mh-1 --head omat_pbe --threads 8
  crossfield bench speed best.safetensors --structure mine.xyz
  crossfield bench speed mace.model --dtype float64 --json > speed.json
"""


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = add_group(app, "bench", help=GROUP_HELP, short="Measure what a model can do, and its speed.")

    register_domain(group)
    _register_speed(group)


def _register_speed(group: typer.Typer) -> None:
    @group.command(help=SPEED_HELP, short_help="Time of an evaluation and of a step.")
    def speed(
        model: Annotated[
            str | None,
            typer.Argument(
                metavar="MODEL",
                help="Checkpoint, .model of mace-torch, or published model; random weights if left out.",
                show_default=False,
            ),
        ] = None,
        structure: Annotated[
            Path | None,
            typer.Option(
                "--structure",
                metavar="FILE",
                help="Extended XYZ whose first frame is timed instead.",
                show_default=False,
            ),
        ] = None,
        large: Annotated[
            bool, typer.Option("--large", help="Built-in structures that may take GiB of memory, too.")
        ] = False,
        head: HeadOption = None,
        device: DeviceOption = "auto",
        dtype: DtypeOption = None,
        backend: BackendOption = "auto",
        threads: ThreadsOption = None,
        seconds: Annotated[
            float, typer.Option("--seconds", min=0.0, max=3600.0, help="Length of each measurement.")
        ] = 2.0,
        as_json: Annotated[bool, typer.Option("--json", help="Results as JSON.")] = False,
    ) -> None:
        if structure is not None and large:
            raise InputError("--large is about built-in structures, and --structure names another")

        from crossfield.bench.speed import measure_speed, random_potential
        from crossfield.zoo import load

        use_threads(threads)
        if model is None:
            if head is not None:
                raise InputError("--head goes with MODEL: random weights have one head only")
            potential = random_potential(device=device, dtype=dtype, backend=backend)
        else:
            potential = load(model, head=head, device=device, dtype=dtype, backend=backend)
        potential.theory_head()  # refuses where one must be named
        if structure is None:
            structures, skipped = _built_in(potential, large)
        else:
            structures, skipped = {structure.name: _first_frame(structure, potential)}, {}
        speeds = []
        with progress("measuring", len(structures)) as done:
            for name, atoms in structures.items():
                speeds.append(measure_speed(potential, name, atoms, seconds=seconds))
                done(1)
        if as_json:
            facts = _facts(potential, model) | {"structures": [speed.as_dict() for speed in speeds]}
            typer.echo(json.dumps(facts, indent=1))
        else:
            _show(potential, model, speeds, skipped)


def _built_in(potential: Potential, large: bool) -> tuple[dict[str, Atoms], dict[str, str]]:
    """The built-in structures that the head can answer for, and why it cannot for the others.

    Raises:
        InputError: it can for none.
    """
    from crossfield.bench.structures import LARGE, NAMES, structure

    theory = potential.theory_head().theory
    known: dict[str, Atoms] = {}
    skipped: dict[str, str] = {}
    for name in NAMES:
        if name in LARGE and not large:
            continue
        atoms = structure(name)
        if theory.default_charge is None:
            atoms.info["charge"] = 0
        if theory.default_spin is None:
            atoms.info["spin"] = 1
        try:
            potential.graph(atoms)
        except InputError as error:
            skipped[name] = error.message
        else:
            known[name] = atoms
    if not known:
        raise InputError(
            f"none of the built-in structures will do ({next(iter(skipped))}: "
            f"{next(iter(skipped.values()))}); give one with --structure"
        )
    return known, skipped


def _first_frame(file: Path, potential: Potential) -> Atoms:
    from crossfield.cli.inputs import check_frames
    from crossfield.data.read import read_structures
    from crossfield.data.write import to_atoms

    reading = read_structures(
        file,
        theory=potential.theory_head().theory,
        inputs=potential.model.config.extra_inputs,
        bad_frames="list",
    )
    for rejected in reading.rejected:
        if rejected.index == 0:
            raise InputError(rejected.reason, file=file, frame=0)
    frame = reading.frames[0]
    check_frames([frame], potential)
    return to_atoms(frame)


def _facts(potential: Potential, model: str | None) -> dict[str, Any]:
    import torch

    from crossfield.bench.machine import processor, versions

    device = potential.model.device
    return {
        "model": model,
        "head": None if model is None else potential.theory_head().name,
        "dtype": str(potential.model.dtype).removeprefix("torch."),
        "backend": potential.backend,
        "device": str(device),
        "hardware": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
        "threads": torch.get_num_threads(),
        "versions": versions("crossfield", "torch", "numpy", "ase"),
    }


def _show(
    potential: Potential, model: str | None, speeds: Sequence[Speed], skipped: Mapping[str, str]
) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    facts = _facts(potential, model)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    if model is None:
        config = potential.model.config
        console.print(
            "random weights of the size of MACE-MH-1 "
            f"({config.channels}/{config.edge_channels} channels): real cost, no meaning",
            style="bold",
        )
    else:
        console.print(f"{model}, head {facts['head']}", style="bold")
    threads = f"{facts['threads']} thread{'s' if facts['threads'] > 1 else ''}"
    console.print(
        f"{facts['dtype']}, back end {facts['backend']}, {facts['device']}, {facts['hardware']}, {threads}"
    )
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("\nstructure", overflow="fold")
    for column in (
        "\natoms",
        "edges/\natom",
        "evaluation\nms",
        "\nµs/atom",
        "MD\nsteps/s",
        "at 1 fs\nns/day",
        "peak\nMiB",
    ):
        table.add_column(column, justify="right", no_wrap=True)
    for speed in speeds:
        peak = speed.memory.peak
        table.add_row(
            speed.structure,
            f"{speed.atoms}",
            f"{speed.edges_per_atom:.1f}",
            f"{1e3 * speed.evaluation:.1f}",
            f"{1e6 * speed.per_atom:,.0f}",
            _three(1.0 / speed.step),
            _three(speed.nanoseconds_per_day),
            "–" if peak is None else f"{peak:,.0f}",
        )
    Console(highlight=False).print(table)
    if checks := [speed.tables for speed in speeds if speed.tables is not None]:
        console.print(
            "Tables of radial functions against exact evaluation of these structures: at most "
            f"{max(check.energy for check in checks):.1e} eV/atom and "
            f"{max(check.force for check in checks):.1e} eV/Å."
        )
    for name, reason in skipped.items():
        console.print(f"not measured: {name}: {reason}")
    console.print(
        "An evaluation is energy, forces and, in crystals, stress, with the neighbours known;\n"
        "a step of molecular dynamics is one in ASE, neighbours included. Medians."
    )


def _three(value: float) -> str:
    """Three digits at least."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"

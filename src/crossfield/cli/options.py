"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ModelArgument = Annotated[
    str,  # not a Path, which would drop the "./" that tells a file from a published model
    typer.Argument(
        metavar="MODEL",
        help="Checkpoint (.safetensors), .model of mace-torch, or published model.",
        show_default=False,
    ),
]
FilesArgument = Annotated[
    list[Path], typer.Argument(metavar="FILES", help="Extended XYZ, gzipped or not.", show_default=False)
]
HeadOption = Annotated[
    str | None,
    typer.Option("--head", help="Head that answers; needed if the model has several.", show_default=False),
]
KeyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--key",
        metavar="LABEL=NAME",
        help="Name of a label in the files; null: not read. May be repeated.",
        show_default=False,
    ),
]
SkipOption = Annotated[
    bool, typer.Option("--skip-bad", help="List frames that cannot be used instead of stopping at the first.")
]
BatchOption = Annotated[
    int | None,
    typer.Option("--batch-size", min=1, help="Structures at once; as fit if left out.", show_default=False),
]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, ... or auto.")]
DtypeOption = Annotated[
    str | None,
    typer.Option("--dtype", help="float32 or float64; as stored if left out.", show_default=False),
]
BackendOption = Annotated[
    str, typer.Option("--backend", help="What computes: reference, numba, triton (a GPU), or auto.")
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads", min=1, help="Processor threads; PyTorch chooses if left out.", show_default=False
    ),
]


def use_threads(threads: int | None) -> None:
    """Set the number of processor threads."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)

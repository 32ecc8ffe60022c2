"""What is said to the user besides results, on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


def say(text: str) -> None:
    """One line, never wrapped."""
    from rich.console import Console

    Console(stderr=True, soft_wrap=True).print(text, highlight=False, markup=False)


def counting_bar() -> Progress:
    """A bar on standard error, if that is a terminal; whoever moves it redraws it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        auto_refresh=False,  # a thread that redraws would take time from the work
        transient=True,
        disable=not console.is_terminal,
    )


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error if that is a terminal; gives the function that moves it by a number.

    Args:
        what: name of the work.
        total: number of structures.
    """
    bar = counting_bar()
    task = bar.add_task(what, total=total)
    with bar:
        bar.refresh()
        yield lambda count: bar.update(task, advance=count, refresh=True)

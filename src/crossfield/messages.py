"""What is said to the user besides results, on standard error."""

from __future__ import annotations


def say(text: str) -> None:
    """One line, never wrapped."""
    from rich.console import Console

    Console(stderr=True, soft_wrap=True).print(text, highlight=False, markup=False)

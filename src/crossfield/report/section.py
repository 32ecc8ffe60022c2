"""A part of the page, which is shown under a tab of its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """One tab."""

    id: str  # letters, digits and hyphens; the page's address ends in it: #forgetting
    title: str  # on the tab; plain text
    html: str  # what it shows, everything from outside escaped
    script: str = ""  # JavaScript that it needs beside that of the page; the same text is run once

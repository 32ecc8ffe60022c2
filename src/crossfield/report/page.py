"""Sections become one page that needs nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib import resources
from string import Template
from typing import Any

from plotly.offline import get_plotlyjs

from crossfield import __version__
from crossfield.report.figure import json_script
from crossfield.report.palette import COLOURS, NEUTRAL, SYMBOLS
from crossfield.report.section import Section

SCRIPTS = ("tabs.js", "figures.js", "tables.js", "live.js")  # in this order; the last one starts all


@dataclass(frozen=True)
class Report:
    """All that a page shows."""

    title: str  # plain text, as are the next two
    subtitle: str
    footer: str
    sections: tuple[Section, ...]

    @property
    def scripts(self) -> tuple[str, ...]:
        """What sections need beside the page's own scripts, each once."""
        return tuple(dict.fromkeys(section.script for section in self.sections if section.script))

    @property
    def version(self) -> str:
        """Changes when anything on the page does."""
        return digest(repr((self.title, self.subtitle, self.sections)))

    def as_dict(self) -> dict[str, Any]:
        """What a page that is open needs to become this one."""
        return {
            "version": self.version,
            "sections": [
                {"id": s.id, "title": s.title, "hash": digest(s.html), "html": s.html} for s in self.sections
            ],
            "scripts": [digest(script) for script in self.scripts],
        }


def render(report: Report, *, live: str = "") -> str:
    """The page as HTML.

    Args:
        report: what it shows; at least one section.
        live: where it asks for changes; empty: it never does.
    """
    settings = {
        "live": live,
        "palette": {"colours": COLOURS, "symbols": SYMBOLS, "neutral": NEUTRAL},
        "version": report.version,
        "hashes": {section.id: digest(section.html) for section in report.sections},
        "scripts": [digest(script) for script in report.scripts],
    }
    early, plotly = asset("early.js"), get_plotlyjs()
    later = (*report.scripts, "\n".join(asset(name) for name in SCRIPTS))
    return Template(asset("page.html")).substitute(
        policy=_policy([early, plotly, *later], live=bool(live)),
        version=escape(__version__),
        title=escape(report.title),
        subtitle=escape(report.subtitle),
        footer=escape(report.footer),
        style=asset("page.css"),
        tabs="".join(_tab(section, i) for i, section in enumerate(report.sections)),
        panels="\n".join(_panel(section) for section in report.sections),
        settings=json_script(settings, id="settings"),
        early=early,
        plotly=plotly,
        scripts="\n".join(f"<script>{script}</script>" for script in later),
    )


def digest(text: str) -> str:
    """A short name for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@cache
def asset(name: str) -> str:
    """A file of the page's own."""
    return resources.files("crossfield.report").joinpath("assets", name).read_text("utf-8")


def _policy(scripts: Sequence[str], *, live: bool) -> str:
    """Only these scripts run, and nothing is fetched but the changes of a live page."""
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    connect = "'self'" if live else "'none'"
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        f"font-src data:; connect-src {connect}; base-uri 'none'; form-action 'none'"
    )


@cache
def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _tab(section: Section, position: int) -> str:
    chosen = "true" if position == 0 else "false"
    return (
        f'<a role="tab" id="tab-{section.id}" href="#{section.id}" aria-controls="panel-{section.id}" '
        f'aria-selected="{chosen}" tabindex="{0 if position == 0 else -1}">{escape(section.title)}</a>'
    )


def _panel(section: Section) -> str:
    return (
        f'<section role="tabpanel" id="panel-{section.id}" aria-labelledby="tab-{section.id}" tabindex="0">'
        f"<h2>{escape(section.title)}</h2>{section.html}</section>"
    )

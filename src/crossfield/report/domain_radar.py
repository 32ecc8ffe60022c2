"""The radar of domains: the scores of one model, or of several on top of each other."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import plotly.graph_objects as go

from crossfield.bench.domain.results import DomainResults
from crossfield.report.domain_words import domain_title
from crossfield.report.figure import figure
from crossfield.report.palette import look

TITLE = "Scores of domains, from 0 (centre) to 1."
OTHERS = " Of other models only the global scores are published."


class Named(NamedTuple):
    """Results with a name that tells them from the others on the page; empty if there are no others."""

    name: str
    results: DomainResults

    def score(self, domain: str) -> float | None:
        """Of a domain."""
        return next((d.score for d in self.results.domains if d.domain == domain), None)


def radar(found: Sequence[Named]) -> str:
    """Scores of domains; a domain without one is a gap, and says so. Empty where there is no score at all."""
    domains = list(dict.fromkeys(d.domain for each in found for d in each.results.domains if d.total))
    known = [domain for domain in domains if any(each.score(domain) is not None for each in found)]
    if not known:
        return ""
    labels = [
        domain_title(domain).replace(" ", "<br>") + ("" if domain in known else "<br>(no score)")
        for domain in domains
    ]
    fig = go.Figure([_line(each, domains, labels, n, len(found) == 1) for n, each in enumerate(found)])
    fig.update_layout(
        polar={
            "radialaxis": {"range": [0, 1], "tickvals": [0.25, 0.5, 0.75, 1], "angle": 90, "tickangle": 90}
        },
        margin={"l": 80, "r": 80, "t": 40, "b": 40},
        showlegend=len(found) > 1,
        legend={"orientation": "h", "x": 0.5, "xanchor": "center", "y": -0.12},
    )
    return figure(
        fig,
        title=TITLE + (OTHERS if len(found) == 1 else ""),
        alt=f"Radar of scores: {'. '.join(_said(each, domains) for each in found)}",
        height=400,
    )


def _line(
    each: Named, domains: Sequence[str], labels: Sequence[str], position: int, alone: bool
) -> go.Scatterpolar:
    colour, dash, symbol = look(position)
    scores = [each.score(domain) for domain in domains]
    return go.Scatterpolar(
        r=[*scores, scores[0]],
        theta=[*labels, labels[0]],
        name=escape(each.name, quote=False),
        mode="lines+markers",
        connectgaps=False,
        line={"color": colour, "width": 2.5, "dash": dash},
        marker={"symbol": symbol, "size": 8},
        fill="toself" if alone and None not in scores else None,
        fillcolor=f"rgba({', '.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))}, .14)",
        hovertemplate=f"{escape(each.name, quote=False)} %{{theta}}: %{{r:.2f}}<extra></extra>",
    )


def _said(each: Named, domains: Sequence[str]) -> str:
    scores = {domain: each.score(domain) for domain in domains}
    said = "; ".join(
        f"{domain_title(domain)} {'no score' if score is None else f'{score:.2f}'}"
        for domain, score in scores.items()
    )
    return f"{each.name}: {said}" if each.name else said

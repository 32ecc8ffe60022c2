"""Figures on the page: drawn by plotly.js when they are first shown."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.io import to_json

Plain = Mapping[str, Any]  # data and layout as plotly.js reads them: quicker to make, and unchecked


def figure(
    fig: go.Figure | Plain, *, title: str, alt: str, height: int = 420, log_switch: bool = False
) -> str:
    """A figure as HTML. The page gives it colours of text, grid and background, light or dark, and a width.

    Traces and layout say what is shown; template and size are left out. Hovering and zooming are there. A
    trace whose `legendgroup` is the name of a head follows the buttons of `pieces.legend`; others do not.

    Args:
        fig: traces and layout.
        title: caption below it; plain text.
        alt: what it shows, for those who do not see it; plain text.
        height: pixels.
        log_switch: a switch between a linear and a logarithmic y axis; the layout says which comes first.
    """
    data = figure_data(fig) if isinstance(fig, go.Figure) else fig
    switch = ""
    if log_switch:
        checked = " checked" if data["layout"].get("yaxis", {}).get("type") == "log" else ""
        switch = f'<label class="switch"><input type="checkbox" class="log"{checked}> logarithmic</label>'
    return (
        f'<figure class="figure"><div class="plot" role="img" aria-label="{escape(alt)}" '
        f'style="height:{height}px"></div>{json_script(data)}'
        f"<figcaption><span>{escape(title)}</span>{switch}</figcaption></figure>"
    )


def figure_data(fig: go.Figure) -> dict[str, Any]:
    """Data and layout as plain values; arrays of numbers are in base64, as plotly.js reads them."""
    content: dict[str, Any] = json.loads(to_json(fig, engine="json", validate=False))
    layout = content.get("layout", {})
    for key in ("template", "width", "height", "paper_bgcolor", "plot_bgcolor"):
        layout.pop(key, None)
    return {"data": content.get("data", []), "layout": layout}


def typed(values: NDArray[np.float64]) -> dict[str, str]:
    """Numbers of a plain figure, in single precision and base64: shorter than their digits."""
    return {"dtype": "f4", "bdata": base64.b64encode(values.astype("<f4").tobytes()).decode()}


def json_script(value: Any, *, id: str = "") -> str:
    """Values that scripts read; no text in them can end the element.

    Args:
        value: plain values, all numbers finite.
        id: of the element.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    name = f' id="{escape(id)}"' if id else ""
    return f'<script type="application/json"{name}>{text}</script>'

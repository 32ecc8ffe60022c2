"""Figures: what plotly.js gets."""

from __future__ import annotations

import base64
import json
import re

import numpy as np
import plotly.graph_objects as go
import pytest

from crossfield.report.figure import figure, figure_data, json_script
from tests.report.runs import HOSTILE


def content(html: str) -> dict:
    (text,) = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    return json.loads(text)


def test_values_arrive_as_they_are() -> None:
    x = np.array([0.1, -2.5, 1e300])
    (trace,) = content(figure(go.Figure(go.Scatter(x=x, y=[1, None, float("nan")])), title="t", alt="a"))[
        "data"
    ]
    assert np.frombuffer(base64.b64decode(trace["x"]["bdata"]), trace["x"]["dtype"]).tolist() == x.tolist()
    assert trace["y"] == [1, None, None]


def test_text_cannot_end_the_element_it_is_in() -> None:
    html = figure(go.Figure(go.Scatter(x=[1], y=[1], name=HOSTILE)), title=HOSTILE, alt=HOSTILE)
    assert "<img" not in html
    assert html.count("</script>") == 1
    assert content(html)["data"][0]["name"] == HOSTILE


def test_colours_and_size_are_those_of_the_page() -> None:
    fig = go.Figure(layout={"width": 50, "height": 50, "paper_bgcolor": "red", "template": "plotly_dark"})
    assert figure_data(fig.update_layout(title="kept"))["layout"] == {"title": {"text": "kept"}}


def test_the_switch_shows_which_axis_comes_first() -> None:
    log, linear = (
        figure(go.Figure(layout={"yaxis": {"type": kind}}), title="t", alt="a", log_switch=True)
        for kind in ("log", "linear")
    )
    assert 'class="log" checked' in log
    assert 'class="log">' in linear
    assert "checkbox" not in figure(go.Figure(), title="t", alt="a")


def test_numbers_that_are_not_finite_are_no_json() -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_script({"a": float("nan")})

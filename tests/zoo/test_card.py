"""The card says what is in the file, and no name in it is anything but text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from crossfield.errors import InputError
from crossfield.model import Model, ModelConfig, fingerprint
from crossfield.theory import Head, Theory
from crossfield.zoo import checkpoint
from crossfield.zoo.card import Card, Errors, Forgotten, Results, read_card
from crossfield.zoo.card_markdown import markdown, plain
from crossfield.zoo.card_parts import parts
from crossfield.zoo.origin import Origin, origins
from crossfield.zoo.published import published

CONFIG = ModelConfig(
    elements=(1, 8), channels=2, edge_channels=2, l_max=1, max_L=0, radial_network=(4,), correlation=1
)
PLAIN = Theory(name="pbe_x", method="PBE", notes="bulk only", reference="Phys. Rev. 1, 2", data="set one")
CHARGED = Theory(
    name="dft_y", method="ωB97M-D3(BJ)", dispersion="D3(BJ)", charge="total charge, e", spin="2S+1"
)
TAUGHT = {
    "theory": "pbe_x",
    "role": "taught",
    "own_answers": False,
    "files": {"data/set.xyz": "ab" * 32},
    "frames": {"train": 1200, "validation": 30, "test": 40},
    "isolated_atoms": 2,
    "rejected": 3,
    "E0_origin": {"1": "isolated atom", "8": "least squares"},
    "unknown to older versions": [1],
}
HOSTILE = [
    "a|b",
    "`code`",
    "<script>alert(1)</script>",
    "**bold** and _it_",
    "[link](javascript:alert(1))",
    "![x](http://a.b/c.png)",
    "# heading",
    "- item",
    "1. item",
    "---",
    "===",
    "> quote",
    "&lt;b&gt;",
    "~~gone~~",
    "back\\slash\\|",
    "http://example.org",
    "<http://example.org>",
    "two\n\n# lines",
    "| --- | --- |",
    "$x$",
]


def card(tmp_path: Path, heads: list[Head] | None = None, name: str = "m", **given: Any) -> Card:
    path = tmp_path / "m.safetensors"
    known = heads or [
        Head(name="solid", theory=PLAIN, E0={1: -1.0, 8: -2.0}),
        Head(name="gas", theory=CHARGED, E0={1: -13.0}),
    ]
    checkpoint.save(path, Model(CONFIG, known), given.pop("provenance", {"data": {"solid": TAUGHT}}))
    return read_card(path, name=name, **given)


def text_of(found: Card) -> str:
    """As a reader of Markdown sees it: no mark-up."""
    parser = MarkdownIt("commonmark").enable("table")
    return "\n".join(
        "".join(child.content for child in token.children or [])
        for token in parser.parse(markdown(found))
        if token.type == "inline"
    )


def test_a_card_says_what_the_model_is(tmp_path: Path) -> None:
    found = card(tmp_path)
    text = text_of(found)
    model = checkpoint.load(tmp_path / "m.safetensors")
    for expected in (
        f"parameters: {model.num_parameters:,} (float32)",
        f"fingerprint: {fingerprint(model)}",
        "elements: H O",
        "method: PBE",
        "known",
        "Head gas: the theory knows charge and spin, and the model does not read them.",
        "Head gas: labels have dispersion (D3(BJ)); add none.",
        "Head solid: labels have no dispersion",
        "Head solid: bulk only.",
        "solid: data/set.xyz (SHA-256 abababababab…)",
        "reference energies E0 from: isolated atom, least squares",
        "What these heads were trained on is not recorded in the file: gas.",
        "No errors are known of these weights.",
        "weights: set by whoever publishes them",
        "arXiv 2510.25380",
        "theory pbe_x: Phys. Rev. 1, 2",
        "torch: ",
        "python: ",
    ):
        assert expected in text, expected
    rows = next(part.rows for part in parts(found) if part.title == "Training data")
    assert rows == (("solid", "taught", "1,200", "30", "40", "2", "3", "of the theory"),)


def test_errors_are_those_of_the_test_in_units_that_are_named(tmp_path: Path) -> None:
    one = {"mae": 0.0123, "rmse": 0.5, "labels": 1200}
    results = Results(
        test={"solid": Errors(frames=4, energy=one, stress={"mae": 0.001, "rmse": None, "labels": 36})},
        validation={
            "solid": Errors(frames=4, energy={**one, "mae": 9.0}),
            "gas": Errors(frames=1, forces=one),
        },
        baseline={"solid": Errors(frames=4, energy={**one, "mae": 2.0})},
    )
    found = card(tmp_path, results=results)
    rows = next(part.rows for part in parts(found) if part.title == "Errors")
    assert rows == (
        ("solid", "test", "energy, meV/atom", "12.3", "500", "2,000", "1,200"),
        ("solid", "test", "stress, GPa", "0.16", "–", "–", "36"),
        ("gas", "validation", "forces, meV/Å", "12.3", "500", "–", "1,200"),
    )


def test_what_was_forgotten_is_on_it(tmp_path: Path) -> None:
    change = {
        "head": "solid",
        "quantity": "forces",
        "frames": 9,
        "before": 0.1,
        "after": 0.2,
        "allowed": 0.105,
    }
    forgotten = Forgotten(
        tolerance=0.05,
        changes=({**change, "worse": True}, {**change, "own_answers": True}, {**change, "allowed": None}),
        unchanged=("gas",),
    )
    (part,) = (p for p in parts(card(tmp_path, forgotten=forgotten)) if p.title == "Forgetting")
    assert [row[3:] for row in part.rows] == [
        ("100", "200", "105", "worse than allowed"),
        ("–", "200", "105", ""),
        ("100", "200", "new", ""),
    ]
    assert part.items == (("unchanged, bit for bit", "gas"),)
    assert "5 %" in part.paragraphs[0]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_text(tmp_path: Path, name: str) -> None:
    """Seen through a parser of Markdown, the card has the structure it has with a harmless name."""

    def shape(found: str) -> list[tuple[str, str]]:
        parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
        tokens = parser.parse(found)
        inner = [child for token in tokens for child in token.children or []]
        return [(t.type, t.tag) for t in [*tokens, *inner] if t.type != "text_special" and t.type != "text"]

    def made(text: str) -> Card:
        line = " ".join(text.split())  # heads have names of one line
        theory = PLAIN.model_copy(update={"notes": text, "method": text, "reference": text})
        data = {line: {**TAUGHT, "files": {text: "ab" * 32}, "role": text}}
        given = {"data": data, "config": {"training": {text: text}}, "base": {"name": text}}
        head = Head(name=line, theory=theory, E0={1: -1.0})
        return card(tmp_path, [head], text, provenance=given)

    assert shape(markdown(made(name))) == shape(markdown(made("harmless")))
    assert " ".join(name.split()) in text_of(made(name))


def test_text_that_needs_no_escapes_has_none() -> None:
    for text in ("4.5 Å", "mp_pbe_refit_add", "-3.2", "0.01", "r2SCAN-D3(BJ), 5 %", "+1"):
        assert plain(text) == text


def origin(name: str) -> Origin:
    return Origin(**{key: getattr(published()[name], key) for key in ("name", "licence", "reference")})


def test_licences_are_found_through_all_that_a_model_was_made_from() -> None:
    mh, mp = published()["mace-mh-1"].model_dump(mode="json"), origin("mace-mp-0a-small")
    assert origins({}) == ()
    assert origins({"published": mh}) == (origin("mace-mh-1"),)
    assert origins({"base": {"name": "mace-mh-1"}}) == (origin("mace-mh-1"),)
    tuned = {"base": {"name": "own.safetensors", "origins": [mp.model_dump()]}}
    assert origins(tuned) == (mp,)
    merged = {
        "published": mh,
        "surgery": [{"operation": "merge", "provenance": tuned}, {"operation": "rename"}],
    }
    assert origins(merged) == (origin("mace-mh-1"), mp)
    for damaged in ({"base": 3}, {"base": {"origins": [1, {"name": 2}]}}, {"surgery": 5}, {"published": []}):
        assert origins(damaged) == ()


def test_a_licence_that_is_inherited_comes_with_its_terms(tmp_path: Path) -> None:
    text = text_of(card(tmp_path, provenance={"base": {"name": "mace-mh-1", "fingerprint": "cd" * 32}}))
    assert "weights, from mace-mh-1: Academic Software License (https://github.com/gabor1/ASL)." in text
    assert "non-commercial" in text
    assert "set by whoever publishes" not in text
    assert published()["mace-mh-1"].reference in text
    assert "base: mace-mh-1 (fingerprint cdcdcdcdcdcd…)" in text


@pytest.mark.parametrize("provenance", [{"base": {"name": "own.st"}}, {"imported": {"file": "own.st"}}])
def test_a_licence_that_is_not_known_is_not_made_up(tmp_path: Path, provenance: dict[str, Any]) -> None:
    text = text_of(card(tmp_path, provenance=provenance))
    assert "weights: that of own.st, which is not known here" in text


@pytest.mark.parametrize(
    "damaged", [{"data": {"solid": 3}}, {"data": {"solid": {"frames": {"train": "many"}}}}]
)
def test_a_damaged_description_is_refused(tmp_path: Path, damaged: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="description of the model is damaged") as caught:
        card(tmp_path, provenance=damaged)
    assert caught.value.file == tmp_path / "m.safetensors"

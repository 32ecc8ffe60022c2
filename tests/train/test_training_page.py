"""docs/training.md: its table is that of the classes, and its examples are configurations."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from crossfield.train import config_from_dict
from tests.train.reference import BEGIN, END, PAGE, attributes, rendered, sections

README = PAGE.parents[1] / "README.md"
HEAD = {"heads": {"new": {"theory": "pbe_gpaw", "data": "new.xyz"}}, "output": "runs/new"}


def yaml_blocks(path: Path) -> list[str]:
    """Blocks of configuration keys; those without a language may also be commands."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [text for language, text in found if language in ("", "yaml") and "crossfield " not in text]


def test_table_of_keys_is_up_to_date() -> None:
    """`python -m tests.train.reference` writes it."""
    text = PAGE.read_text("utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0] == rendered()


def test_every_key_is_described() -> None:
    for section in sections():
        assert list(attributes(section)) == list(section.model_fields), section.__name__


@pytest.mark.parametrize("text", yaml_blocks(PAGE), ids=lambda text: text.split(":")[0])
def test_examples_are_configurations(text: str) -> None:
    config = config_from_dict({**HEAD, **yaml.safe_load(text)})
    assert config.heads


def test_first_example_is_short() -> None:
    first = yaml_blocks(PAGE)[0]
    assert len(first.splitlines()) <= 15
    config = config_from_dict(yaml.safe_load(first))
    assert config.replay == "auto"
    assert config.sampling.kind == "balanced"


def test_example_of_the_readme() -> None:
    (text,) = [block for block in yaml_blocks(README) if block.startswith("base:")]
    config = config_from_dict(yaml.safe_load(text))
    assert len(text.splitlines()) <= 10
    assert config.heads["my"].theory in config.theories

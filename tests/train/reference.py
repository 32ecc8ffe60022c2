"""The table of all configuration keys in docs/training.md, made from the docstrings of their classes.

After a change of a key or its docstring, `python -m tests.train.reference` writes the table anew.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from crossfield.train.config import Config
from crossfield.train.overrides import FINETUNING
from crossfield.train.starter.text import plain

PAGE = Path(__file__).parents[2] / "docs" / "training.md"
BEGIN, END = "<!-- keys: begin -->\n", "<!-- keys: end -->\n"
LEFT_OUT = {"model.elements"}  # comes from the data


def sections() -> dict[type[BaseModel], list[str]]:
    """Every part of the configuration, with the keys under which it stands; NAME is any name."""
    found: dict[type[BaseModel], list[str]] = {Config: [""]}
    queue = [Config]
    while queue:
        section = queue.pop(0)
        prefix = found[section][0]
        for key, field in section.model_fields.items():
            for model, named in _models(field.annotation):
                path = f"{prefix}.{key}".lstrip(".") + (".NAME" if named else "")
                if model not in found:
                    queue.append(model)
                found.setdefault(model, []).append(path)
    return found


def attributes(section: type[BaseModel]) -> dict[str, str]:
    """What a docstring says of each key."""
    lines = (inspect.getdoc(section) or "").partition("Attributes:\n")[2].splitlines()
    found: dict[str, str] = {}
    name = ""
    for line in lines:
        if match := re.match(r"    (\w+): (.*)", line):
            name = match[1]
            found[name] = match[2]
        elif line.strip():
            found[name] += " " + line.strip()
    return found


def rendered() -> str:
    """The tables."""
    parts = []
    for section, paths in sections().items():
        title = ", ".join(f"`{path}`" for path in paths) if paths != [""] else "At the top"
        rows = [f"### {title}", "", "| key | default | meaning |", "| --- | --- | --- |"]
        for key, meaning in attributes(section).items():
            path = f"{paths[0]}.{key}".lstrip(".")
            if path not in LEFT_OUT:
                default = _default(path, section.model_fields[key])
                said = _meaning(meaning, section.model_fields[key].annotation)
                rows.append(f"| `{key}` | {default} | {said} |")
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def _models(annotation: Any) -> Iterator[tuple[type[BaseModel], bool]]:
    """Models inside an annotation, and whether they stand under names of the user's choice."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation, False
    for inner in get_args(annotation):
        for model, named in _models(inner):
            yield model, named or get_origin(annotation) is dict


def _meaning(text: str, annotation: Any) -> str:
    """As a cell of a table, with the values that are allowed where the text does not name them."""
    choices = [value for value in _choices(annotation) if value not in text]
    if choices:
        text = f"{text.rstrip('.')} ({', '.join(_choices(annotation))})."
    return re.sub(r"\bNone\b", "null", text).replace("|", "\\|")


def _choices(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    return [value for inner in get_args(annotation) for value in _choices(inner)]


def _default(path: str, field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        value = {} if path == "model" else value.model_dump(exclude_defaults=True)
        return f"`{plain(value)}`" if value else "below"
    value = str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
    text = f"`{plain(value)}`"
    with_base: Any = FINETUNING
    for key in path.split("."):
        with_base = with_base.get(key) if isinstance(with_base, Mapping) else None
    if with_base is not None and with_base != value:
        text += f"; with a base `{plain(with_base)}`"
    return text


def main() -> None:
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + BEGIN + rendered() + END + after, "utf-8")


if __name__ == "__main__":
    main()

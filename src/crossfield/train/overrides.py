"""From a YAML file and `key=value` overrides to a checked configuration."""

from __future__ import annotations

import copy
import re
import types
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from crossfield.errors import InputError, nearest
from crossfield.train.config import Config

# What is different by default where a base is given.
FINETUNING: Mapping[str, Any] = {
    "training": {"epochs": 50, "learning_rate": 1e-3, "weight_decay": 0.0, "clip": 1.0, "ema": 0.99},
    "loss": {"energy": 10.0, "forces": 10.0},
    "sampling": {"kind": "balanced"},
}


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice, where plain YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue  # `<<: *anchor` brings keys that may be given again
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, Hashable):
                raise InputError(f"line {line}: a list or a mapping cannot be a key")
            if key in seen:
                raise InputError(f"line {line}: the key {key!r} is given twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a configuration.

    Args:
        path: YAML file; relative paths in it start at its folder.
        overrides: `a.b.c=value` each, the value read as YAML.

    Raises:
        InputError: the file cannot be read, or a key or value is wrong.
    """
    path = Path(path)
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", file=path) from error
    except UnicodeDecodeError as error:
        raise InputError("is not a text file", file=path) from error
    try:
        given = _parse(text)
        if not isinstance(given, dict):
            raise InputError("must hold keys and values, beginning with `heads:`")
        return config_from_dict(given, overrides, path.parent)
    except InputError as error:
        raise InputError(error.message, file=path) from error


def config_from_dict(given: Mapping[str, Any], overrides: Sequence[str] = (), root: Path = Path()) -> Config:
    """Check a configuration.

    Args:
        given: the contents of the YAML file.
        overrides: as for `load_config`.
        root: folder that relative paths start from.

    Raises:
        InputError: an unknown key (with the nearest name) or a wrong value, in one line.
    """
    values = copy.deepcopy(dict(given))
    for text in overrides:
        _override(values, text)
    values["root"] = root / str(values.get("root", "."))
    if values.get("base") is not None:
        values = _under(values, _finetuning(values))
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise InputError(_explain(error, values)) from error


def _finetuning(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The defaults with a base; ratios say themselves how is drawn."""
    given = values.get("sampling")
    ratios = isinstance(given, Mapping) and "ratios" in given
    return {key: default for key, default in FINETUNING.items() if not (ratios and key == "sampling")}


def _under(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The values, with defaults for what they leave out; what is no section where one is expected stays."""
    merged = dict(values)
    for key, default in defaults.items():
        given = merged.get(key, {} if isinstance(default, Mapping) else default)
        if isinstance(default, Mapping) and isinstance(given, Mapping):
            given = _under(given, default)
        merged[key] = given
    return merged


def _parse(text: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise InputError(f"{where}not valid YAML ({error.problem})") from error
    except yaml.YAMLError as error:
        raise InputError(f"not valid YAML ({error})") from error


def _override(values: dict[str, Any], text: str) -> None:
    """Set one `a.b.c=value` in place."""
    path, equals, value = text.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise InputError(f"{text!r} is not of the form key=value, as in training.epochs=20")
    known = values.get("heads")
    if len(keys) > 1 and keys[0] == "heads" and isinstance(known, dict) and keys[1] not in known:
        names = [str(name) for name in known]
        raise InputError(f"unknown head {keys[1]!r}{nearest(keys[1], names)} (there is: {', '.join(names)})")
    section: Any = values
    for depth, key in enumerate(keys[:-1]):
        section = section.setdefault(key, {})
        if not isinstance(section, dict):
            parent = ".".join(keys[: depth + 1])
            raise InputError(f"{path}: {parent} is a value, it has no key {keys[depth + 1]!r}")
    try:
        section[keys[-1]] = _parse(value)
    except InputError as error:
        raise InputError(f"{path}: {error.message}") from error


def _explain(error: ValidationError, values: Mapping[str, Any]) -> str:
    """The first problem, in one line. Unknown keys go first: they often cause the others."""
    problems = error.errors(include_url=False)
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    # where several types are allowed, the one that is meant is that which has something to say of its parts
    problem = max(_inside(problem, problems, values), key=lambda p: len(_key_path(p, values)))
    keys = _key_path(problem, values)
    where = ".".join(keys)
    if problem["type"] == "extra_forbidden":
        names = _names(Config, keys[:-1])
        hint = nearest(keys[-1], names) or f" (known: {', '.join(names)})"
        return f"unknown key {where}{hint}"
    if problem["type"] == "missing":
        return f"{where} is missing"
    # where several types are allowed, each of them complains
    messages = [p["msg"] for p in problems if p["loc"] and _key_path(p, values) == keys]
    message = _plain(" or ".join(dict.fromkeys(messages)) or problem["msg"])
    given = problem["input"]
    shown = "" if isinstance(given, (dict, BaseModel)) else f", not {given!r}"
    return f"{where}: {message}{shown}" if where else message


def _plain(message: str) -> str:
    """A message of pydantic without the names of Python's types."""
    message = message.removeprefix("Value error, ").replace(" or Input should be ", " or ")
    message = re.sub(r"a valid dictionary( or instance of \w+)?", "keys and values", message)
    return message.replace(" for <class 'pathlib.Path'>", "").replace("Input ", "")


def _key_path(problem: ErrorDetails, values: Mapping[str, Any]) -> list[str]:
    """The keys that a user wrote; pydantic adds the members of unions and the fields of short forms."""
    keys: list[str] = []
    here: Any = values
    for depth, part in enumerate(problem["loc"], 1):
        if not isinstance(here, Mapping):
            break
        if part in here or (problem["type"] == "missing" and depth == len(problem["loc"])):
            keys.append(str(part))
            here = here.get(part)
    return keys


def _inside(
    problem: ErrorDetails, problems: Sequence[ErrorDetails], values: Mapping[str, Any]
) -> list[ErrorDetails]:
    """The problems of the same kind of key, or of keys inside it."""
    keys = _key_path(problem, values)
    found = [p for p in problems if _key_path(p, values)[: len(keys)] == keys]
    return found if keys else [problem]


def _names(model: type[BaseModel], keys: Sequence[str]) -> list[str]:
    """The keys allowed at a place in the configuration."""
    section: Any = model
    for key in keys:
        if isinstance(section, type) and issubclass(section, BaseModel):
            section = _section(section.model_fields[key].annotation)
        else:
            section = _section(get_args(section)[1])  # a mapping: any name, then its values
    hidden = {"elements"} if list(keys) == ["model"] else set()  # set from the data
    return [name for name in section.model_fields if name not in hidden]


def _section(annotation: Any) -> Any:
    """The model or mapping inside optional and annotated types."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _section(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        parts = [_section(part) for part in get_args(annotation)]
        return next((p for p in parts if get_origin(p) is dict or _is_model(p)), annotation)
    return annotation


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)

"""What tensors alone do not tell about a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crossfield.errors import InputError
from crossfield.theory import HeadName
from crossfield.zoo.mace.attributes import check_attributes
from crossfield.zoo.mace.source import Source, function_name, number

INPUT_KEYS = {"type", "per", "in_dim", "emb_dim", "num_classes", "offset", "use_bias"}


class Facts(BaseModel):
    """What a module file states in its attributes and a state dict leaves out.

    Attributes:
        average_neighbours: by which the messages are divided; None where they are not.
        cutoff_on: what the cutoff multiplies: the radial "basis" (the default of mace-torch) or the radial
            "weights" (`apply_cutoff=False` there).
        readout_activation: non-linearity of the last readout.
        heads: names of the heads.
        offsets: what is added to a number of the structure to give its class, for inputs with classes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    average_neighbours: float | None = Field(None, gt=0, allow_inf_nan=False)
    cutoff_on: Literal["basis", "weights"]
    readout_activation: Literal["silu", "tanh", "abs", "none"] = "silu"
    heads: tuple[HeadName, ...]
    offsets: dict[str, int] = Field(default_factory=dict)


def stated(source: Source, values: Mapping[str, object]) -> Facts:
    """The facts in the attributes of a module file.

    Args:
        source: the file.
        values: facts that a user gives; only what the file does not state itself.

    Raises:
        InputError: an attribute that is missing, is not as mace-torch writes it, or asks for what is not
            known here; or a given fact that the file states.
    """
    check_attributes(source)
    found: dict[str, object] = {
        "heads": _heads(source),
        "readout_activation": _activation(source),
        "offsets": _offsets(source),
    }
    averages = {
        number(value, "avg_num_neighbors")
        for i in range(source.count("interactions.{}"))
        if (value := source.attribute(f"interactions.{i}", "avg_num_neighbors")) is not None
    }
    if len(averages) > 1:
        raise InputError(f"the layers differ in avg_num_neighbors: {sorted(averages)}")
    if averages:
        found["average_neighbours"] = averages.pop()
    on_basis = source.attribute("radial_embedding", "apply_cutoff")
    if on_basis is not None:
        found["cutoff_on"] = "basis" if on_basis else "weights"
    elif "edge_irreps" not in source.attributes[""]:
        found["cutoff_on"] = "basis"  # written before there was a choice
    elif "cutoff_on" not in values:
        raise InputError("the file does not say what the cutoff multiplies: --set cutoff_on=basis or weights")
    if twice := sorted(set(found) & set(values)):
        raise InputError(f"the file itself states {', '.join(twice)}; leave --set out")
    return _validated(found | dict(values))


def given(source: Source, values: Mapping[str, object]) -> Facts:
    """The facts that a user gives for a state dict.

    Raises:
        InputError: some are missing (the message lists all of them), unknown, or no such values.
    """
    layers = source.count("interactions.{}")
    divided = any(
        not source.has(f"interactions.{i}.density_fn") and not source.has(f"interactions.{i}.alpha")
        for i in range(layers)
    )
    missing = []
    if divided and "average_neighbours" not in values:
        missing.append("average_neighbours=NUMBER (avg_num_neighbors in the log of the run)")
    if "cutoff_on" not in values:
        missing.append("cutoff_on=basis, or cutoff_on=weights if it ran with --apply_cutoff=False")
    if layers > 1 and "readout_activation" not in values:
        missing.append("readout_activation=silu (--gate of the run, silu unless it was given)")
    energies = source.peek("atomic_energies_fn.atomic_energies")
    if "heads" not in values and energies.dim() == 2 and energies.shape[0] > 1:
        missing.append(f"heads=[...] (names of the {energies.shape[0]} heads, in their order)")
    offsets = values.get("offsets", {})
    for name in classes_of(source):
        if not isinstance(offsets, dict) or name not in offsets:
            missing.append(f"offsets={{{name}: NUMBER}} (offset in --embedding_specs)")
    if missing:
        raise InputError(
            "a state dict does not say everything: give `crossfield convert` the rest with --set: "
            + "; ".join(missing)
        )
    return _validated({"heads": ("Default",), **values})


def _validated(values: Mapping[str, object]) -> Facts:
    try:
        return Facts.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise InputError(f"{where}: {fault['msg']} (known: {', '.join(Facts.model_fields)})") from error


def classes_of(source: Source) -> list[str]:
    """Names of the inputs that are looked up by class."""
    prefix = "joint_embedding.embedders."
    names = [name.removeprefix(prefix).split(".") for name in source.tensors if name.startswith(prefix)]
    return [parts[0] for parts in names if parts[1:] == ["weight"]]


def _heads(source: Source) -> tuple[str, ...]:
    """Names of the heads; files of one head may not have any."""
    heads = source.attribute("", "heads") or ["Default"]
    if not isinstance(heads, list | tuple) or not all(isinstance(head, str) for head in heads):
        raise InputError("the names of the heads are damaged")
    names = tuple(str(head) for head in heads)
    last = f"readouts.{source.count('readouts.{}') - 1}"
    masked = source.kind(last) in ("NonLinearReadoutBlock", "NonLinearBiasReadoutBlock")
    if masked and len(names) > 1 and source.attribute(last, "num_heads") != len(names):
        raise InputError(f"module {last!r} does not tell the {len(names)} heads apart")
    return names


def _activation(source: Source) -> str:
    """Non-linearity of the last readout."""
    path = f"readouts.{source.count('readouts.{}') - 1}.non_linearity"
    if source.kind(path.removesuffix(".non_linearity")) == "LinearReadoutBlock":
        return "silu"  # there is none
    acts = source.attribute(f"{path}.acts", "_modules")
    if isinstance(acts, dict) and list(acts) == ["0"] and acts["0"] is None:
        return "none"
    if source.kind(f"{path}.acts.0") != "normalize2mom":
        raise InputError(f"module {path!r} is damaged")
    return function_name(source.attribute(f"{path}.acts.0", "f"))  # checked with all others


def _offsets(source: Source) -> dict[str, int]:
    classes = classes_of(source)
    specs = source.attribute("joint_embedding", "specs", {})
    offsets = {}
    for name, spec in specs.items() if isinstance(specs, dict) else ():
        if not isinstance(spec, dict) or not set(spec) <= INPUT_KEYS:
            raise InputError(f"the description of input {name!r} is damaged")
        if spec.get("per") != "graph" or spec.get("in_dim", 1) != 1:
            raise InputError(f"input {name!r} is not one number per structure; such are not known here")
        offset = number(spec.get("offset", 0), f"the offset of input {name!r}")
        if offset != round(offset):
            raise InputError(f"the offset of input {name!r} is {offset}, not a whole number")
        offsets[str(name)] = round(offset)
    if missing := set(classes) - set(offsets):
        raise InputError(f"input {min(missing)!r} has weights and no description")
    return {name: offsets[name] for name in classes}

"""What tensors alone do not tell about a model."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crossfield.errors import InputError
from crossfield.zoo.mace.source import Source, function_name, number
from crossfield.zoo.pickled import Record

ACTIVATIONS = {"silu": "silu", "tanh": "tanh", "abs": "abs", "absolute": "abs", "none": "none"}


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
    heads: tuple[str, ...]
    offsets: dict[str, int] = Field(default_factory=dict)


def stated(source: Source) -> Facts:
    """The facts in the attributes of a module file.

    Raises:
        InputError: an attribute that is not as mace-torch writes it, or that asks for what is not known here.
    """
    _refuse_unknown(source)
    layers = source.count("interactions.{}")
    averages = {
        number(source.attribute(f"interactions.{i}", "avg_num_neighbors"), "avg_num_neighbors")
        for i in range(layers)
        if source.attribute(f"interactions.{i}", "avg_num_neighbors") is not None
    }
    if len(averages) > 1:
        raise InputError(f"the layers differ in avg_num_neighbors: {sorted(averages)}")
    heads = source.attribute("", "heads", ["Default"])
    if heads is None:
        heads = ["Default"]
    if not isinstance(heads, list | tuple) or not all(isinstance(head, str) for head in heads):
        raise InputError("the names of the heads are damaged")
    on_basis = source.attribute("radial_embedding", "apply_cutoff", True)
    try:
        return Facts(
            average_neighbours=averages.pop() if averages else None,
            cutoff_on="basis" if on_basis in (True, None) else "weights",
            readout_activation=_activation(source),
            heads=tuple(heads),
            offsets=_offsets(source),
        )
    except ValidationError as error:
        fault = error.errors()[0]
        raise InputError(f"{fault['loc'][0]} is damaged: {fault['msg']}") from error


def given(source: Source, values: dict[str, object]) -> Facts:
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
    try:
        return Facts.model_validate({"heads": ("Default",)} | values)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise InputError(f"--set {where}: {fault['msg']} (known: {', '.join(Facts.model_fields)})") from error


def classes_of(source: Source) -> list[str]:
    """Names of the inputs that are looked up by class."""
    prefix = "joint_embedding.embedders."
    names = [name.removeprefix(prefix).split(".") for name in source.tensors if name.startswith(prefix)]
    return [parts[0] for parts in names if parts[1:] == ["weight"]]


def _refuse_unknown(source: Source) -> None:
    """Check the attributes that change what a module computes and leave no trace in its tensors."""
    for name in ("use_so3", "keep_last_layer_irreps"):
        if source.attribute("", name, False):
            raise InputError(f"models with {name} are not known here")
    harmonics = source.attributes.get("spherical_harmonics", {})
    if harmonics.get("normalization", "component") != "component" or harmonics.get("normalize") is False:
        raise InputError("the spherical harmonics are normalised otherwise than in mace-torch")
    for path, attributes in source.attributes.items():
        config = attributes.get("cueq_config")
        if isinstance(config, Record) and isinstance(config.state, dict) and config.state.get("enabled"):
            raise InputError(
                "the file was saved with cuEquivariance kernels: mace_convert_cueq_e3nn turns it back"
            )
        expected = _expected_functions(path, source.kind(path))
        for name, function in expected.items():
            found = function_name(attributes.get(name))
            if found not in (function, f"{function}_"):
                raise InputError(f"module {path!r} applies {found} where mace-torch has {function}")


def _expected_functions(path: str, kind: str) -> dict[str, str]:
    """Attributes of a module that hold a function, and which one; but for the last readout, which varies."""
    if kind == "GatedEquivariantBlock":
        return {"_act_scalar": "silu", "_act_gate": "sigmoid"}
    if kind == "normalize2mom" and not path.startswith("readouts."):
        return {"f": "sigmoid" if ".act_gates." in path else "silu"}
    return {}


def _activation(source: Source) -> str:
    """Non-linearity of the last readout."""
    path = f"readouts.{source.count('readouts.{}') - 1}.non_linearity"
    if path not in source.classes:
        return "silu"  # there is none: a single linear readout
    acts = source.attribute(path, "acts")
    function = source.attribute(f"{path}.acts.0", "f", acts[0] if isinstance(acts, list) and acts else None)
    name = function_name(function)
    if name not in ACTIVATIONS:
        raise InputError(f"the last readout applies {name}, which is not known here")
    return ACTIVATIONS[name]


def _offsets(source: Source) -> dict[str, int]:
    specs = source.attribute("joint_embedding", "specs", {})
    if not isinstance(specs, dict):
        raise InputError("the description of the inputs is damaged")
    offsets = {}
    for name, spec in specs.items():
        if not isinstance(spec, dict):
            raise InputError(f"the description of input {name!r} is damaged")
        if spec.get("per") != "graph" or spec.get("in_dim", 1) != 1:
            raise InputError(f"input {name!r} is not one number per structure; such are not known here")
        offset = number(spec.get("offset", 0), f"the offset of input {name!r}")
        if offset != round(offset):
            raise InputError(f"the offset of input {name!r} is {offset}, not a whole number")
        offsets[str(name)] = round(offset)
    return {name: offsets[name] for name in classes_of(source) if name in offsets}

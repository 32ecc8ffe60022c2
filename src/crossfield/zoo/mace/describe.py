"""The configuration of a model, recovered from the shapes of its tensors and the facts beside them."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from crossfield.errors import InputError
from crossfield.model import ModelConfig
from crossfield.zoo.mace.facts import Facts
from crossfield.zoo.mace.source import Source

INPUT_NAMES = {"total_charge": "charge", "total_spin": "spin"}  # ours for those of mace-torch
BLOCKS = {
    "RealAgnosticInteractionBlock": "plain",
    "RealAgnosticResidualInteractionBlock": "residual",
    "RealAgnosticDensityInteractionBlock": "density",
    "RealAgnosticDensityResidualInteractionBlock": "density_residual",
    "RealAgnosticResidualNonLinearInteractionBlock": "nonlinear",
}


def describe(source: Source, facts: Facts) -> ModelConfig:
    """The configuration of the model in a file; its tensors stay where they are.

    Raises:
        InputError: a tensor that the configuration follows from is missing, or sizes that belong to no model.
    """
    elements = source.peek("atomic_numbers").flatten().tolist()
    layers = source.count("interactions.{}")
    if layers == 0:
        raise InputError("tensor 'interactions.0.linear_up.weight' is missing")
    channels = _divided(source, "node_embedding.linear.weight", len(elements))
    L_max = source.count("products.0.symmetric_contractions.contractions.{}") - 1
    components, _ = source.shape("products.0.symmetric_contractions.contractions.0.U_matrix_1", 2)
    l_max = round(components**0.5) - 1
    max_L = L_max if layers > 1 else 0
    outputs = [max_L] * (layers - 1) + [0]  # highest l that leaves each layer
    fitting = [_kinds(source, i, len(elements), channels, l_max, L) for i, L in enumerate(outputs)]
    blocks = [_only(fitting[:1]), *[_only(fitting[1:])] * (layers - 1)] if layers > 1 else [_only(fitting)]
    nonlinear = [i for i, block in enumerate(blocks) if block == "nonlinear"]
    per_element = {
        source.shape(_weights(i), 3)[0] == len(elements) for i in range(layers) if len(elements) > 1
    }
    divided = bool({"plain", "residual"} & set(blocks))
    settings: dict[str, Any] = {
        "elements": elements,
        "cutoff": source.one("r_max"),
        "channels": channels,
        **_edge_channels(source, channels, max_L, layers),
        "max_L": max_L,
        "l_max": l_max,
        "correlation": [_correlation(source, i) for i in range(layers)],
        "layers": layers,
        "interaction": blocks[-1],
        "first_interaction": None if blocks[0] == blocks[-1] else blocks[0],
        "average_neighbours": facts.average_neighbours if divided else None,
        **_radial(source, nonlinear),
        "cutoff_power": source.one("radial_embedding.cutoff_fn.p"),
        "cutoff_on": facts.cutoff_on,
        "pair": "zbl" if source.has("pair_repulsion_fn") else "none",
        "product_per_element": True in per_element,
        **_readouts(source, facts, channels, layers),
        "inputs": _inputs(source, facts),
        "embedding_readout": source.has("embedding_readout"),
    }
    try:
        return ModelConfig.model_validate(settings)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "model"
        raise InputError(f"sizes that belong to no model: {where}: {fault['msg']}") from error


def _correlation(source: Source, layer: int) -> int:
    """Degree of the product, by its coupling tensors and weights; what one of them lacks is missed later."""
    at = f"products.{layer}.symmetric_contractions.contractions.0."
    return max(source.count(f"{at}U_matrix_{{}}", first=1), 1 + source.count(f"{at}weights.{{}}"))


def _weights(layer: int) -> str:
    return f"products.{layer}.symmetric_contractions.contractions.0.weights_max"


def _divided(source: Source, name: str, size: int) -> int:
    """Number of entries of a tensor over a number that must divide it."""
    total = source.peek(name).numel()
    if size == 0 or total == 0 or total % size:
        raise InputError(f"tensor {name!r} has {total} entries, which is no multiple of {size}")
    return total // size


def _kinds(source: Source, layer: int, elements: int, channels: int, l_max: int, L_out: int) -> set[str]:
    """Kinds of interaction that a layer may be: one by its class, and by its tensors one or two."""
    path = f"interactions.{layer}"
    if not source.is_state_dict:
        if source.kind(path) not in BLOCKS:
            raise InputError(f"module {path!r} is a {source.kind(path)}, not an interaction")
        return {BLOCKS[source.kind(path)]}
    if source.has(f"{path}.alpha"):
        return {"nonlinear"}
    # weights of the element mix the whole message, or the features that go past it
    L_in = L_out if layer else 0  # but for the last layer, whose output is all that it shares with the input
    sizes = {"plain": (l_max, l_max), "residual": (min(L_in, L_out), L_out)}
    weights = source.peek(f"{path}.skip_tp.weight").numel()
    out = source.peek(f"{path}.skip_tp.output_mask").numel()
    kinds = {
        kind
        for kind, (L_weights, L) in sizes.items()
        if weights == elements * channels**2 * (L_weights + 1) and out == channels * (L + 1) ** 2
    }
    if not kinds:
        raise InputError(f"tensor '{path}.skip_tp.weight' has {weights} entries, which fit no interaction")
    if source.has(f"{path}.density_fn"):
        kinds = {kind.replace("plain", "density").replace("residual", "density_residual") for kind in kinds}
    return kinds


def _only(fitting: list[set[str]]) -> str:
    """The one kind that fits all of these layers."""
    common = set.intersection(*fitting)
    if not common:
        raise InputError(f"the interactions after the first differ: {', '.join(map(_listed, fitting))}")
    if len(common) > 1:
        raise InputError(
            f"the tensors fit {_listed(common)} interactions alike: convert the .model file instead"
        )
    return common.pop()


def _listed(kinds: set[str]) -> str:
    return " or ".join(sorted(kinds))


def _edge_channels(source: Source, channels: int, max_L: int, layers: int) -> dict[str, Any]:
    first = _divided(source, "interactions.0.linear_up.weight", channels)
    if layers == 1:
        return {"edge_channels": None if first == channels else first}
    later = _divided(source, "interactions.1.linear_up.weight", channels * (max_L + 1))
    if first not in (channels, later):
        raise InputError(f"edges of {first} and {later} channels in a model of {channels} are not known here")
    return {
        "edge_channels": None if first == later == channels else later,
        "edge_channels_first": first == later,
    }


def _radial(source: Source, nonlinear: list[int]) -> dict[str, Any]:
    at = "radial_embedding."
    if source.has(f"{at}bessel_fn.bessel_weights"):
        functions, size = "bessel", source.peek(f"{at}bessel_fn.bessel_weights").numel()
    elif source.has(f"{at}bessel_fn.gaussian_weights"):
        functions, size = "gaussian", source.peek(f"{at}bessel_fn.gaussian_weights").numel()
    else:
        functions, size = "chebyshev", source.peek(f"{at}bessel_fn.n").numel()
    transform = "none"
    if source.has(f"{at}distance_transform"):
        transform = "soft" if source.has(f"{at}distance_transform.alpha") else "agnesi"
    found: dict[str, Any] = {
        "radial_functions": functions,
        "radial_basis": size,
        "radial_network": _hidden(source),
        "transform": transform,
    }
    if nonlinear:
        found["density_width"] = source.shape(f"interactions.{nonlinear[0]}.density_fn.net.0.weight", 2)[0]
    return found


def _hidden(source: Source) -> list[int]:
    """Hidden widths of the radial network, which has as many layers as the longest of them shows."""
    networks = [f"interactions.{i}.conv_tp_weights." for i in range(source.count("interactions.{}"))]
    first = networks[0]
    if source.has(f"{first}layer0"):
        count = max(source.count(f"{network}layer{{}}") for network in networks)
        return [source.shape(f"{first}layer{k}.weight", 2)[1] for k in range(count - 1)]
    norms = max(source.count(f"{network}net.{{}}", first=1, step=3) for network in networks)
    return [source.shape(f"{first}net.{3 * k}.weight", 2)[0] for k in range(norms)]


def _readouts(source: Source, facts: Facts, channels: int, layers: int) -> dict[str, Any]:
    count = source.count("readouts.{}")
    if count not in (layers, 1):
        raise InputError(f"there are {count} readouts for {layers} layers")
    last = f"readouts.{count - 1}."
    found: dict[str, Any] = {"last_readout_only": layers > 1 and count == 1}
    if layers == 1:
        return found
    width = _divided(source, f"{last}linear_1.weight", channels * len(facts.heads))
    kind = "bias" if source.has(f"{last}linear_mid") else "nonlinear"
    return found | {
        "readout": kind,
        "readout_width": width,
        "readout_activation": facts.readout_activation,
    }


def _inputs(source: Source, facts: Facts) -> dict[str, dict[str, Any]]:
    prefix = "joint_embedding.embedders."
    order = dict.fromkeys(
        name.removeprefix(prefix).split(".")[0] for name in source.tensors if name.startswith(prefix)
    )
    if order and not source.is_state_dict:
        specs = source.attribute("joint_embedding", "specs")
        if not isinstance(specs, dict) or set(specs) != set(order):
            raise InputError("the inputs that are described are not those that have weights")
        order = dict.fromkeys(map(str, specs))  # in which the embeddings are joined
    found = {}
    for name in order:
        ours = INPUT_NAMES.get(name, name)
        at = f"{prefix}{name}."
        if source.has(f"{at}weight"):
            classes, width = source.shape(f"{at}weight", 2)
            offset = facts.offsets.get(name, 0)
            found[ours] = {"kind": "class", "classes": classes, "offset": offset, "width": width}
        else:
            width, _ = source.shape(f"{at}0.weight", 2)
            found[ours] = {"kind": "real", "width": width, "bias": source.has(f"{at}0.bias")}
    return found

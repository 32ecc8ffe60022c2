"""Attributes of modules that change what these compute and leave no trace in their tensors."""

from __future__ import annotations

from collections.abc import Mapping

from crossfield.errors import InputError
from crossfield.kernels.formulas.gate import SIGMOID_SCALE, SILU_SCALE
from crossfield.model.activation import ABS_SCALE, TANH_SCALE
from crossfield.zoo.mace.source import Source, function_name, number
from crossfield.zoo.pickled import Record

SCALES = {"silu": SILU_SCALE, "sigmoid": SIGMOID_SCALE, "tanh": TANH_SCALE, "abs": ABS_SCALE}
READOUT = ("silu", "tanh", "abs")  # non-linearities that a readout may have
SKIPPING = ("Residual",)  # in the name of an interaction that hands something past the message


def check_attributes(source: Source) -> None:
    """Check the attributes of all modules.

    Raises:
        InputError: one is not what mace-torch has there, or is missing; the message names the module.
    """
    if source.attribute("", "use_so3", False):
        raise InputError("models with use_so3 are not known here")
    for path, attributes in source.attributes.items():
        kind = source.kind(path)
        if kind == "normalize2mom":
            _check_activation(path, attributes)
        elif kind == "GatedEquivariantBlock":
            _check_gate(path, attributes)
        elif kind == "LayerNorm" and attributes.get("eps") != 1e-5:
            raise InputError(f"module {path!r} has eps = {attributes.get('eps')}, not 1e-5")
        elif kind == "Embedding" and attributes.get("max_norm") is not None:
            raise InputError(f"module {path!r} has a max_norm, which is not known here")
        elif kind == "SphericalHarmonics":
            _check_harmonics(path, attributes)
        elif kind == "EquivariantProductBasisBlock":
            interaction = source.kind(path.replace("products", "interactions"))
            if attributes.get("use_sc") is not True and any(part in interaction for part in SKIPPING):
                raise InputError(f"module {path!r} leaves out what {interaction} hands past the message")
        config = attributes.get("cueq_config")
        if isinstance(config, Record) and isinstance(config.state, dict) and config.state.get("enabled"):
            raise InputError(
                "the file was saved with cuEquivariance kernels: mace_convert_cueq_e3nn turns it back"
            )


def _check_activation(path: str, attributes: Mapping[str, object]) -> None:
    """A function scaled to unit second moment."""
    found = function_name(attributes.get("f"))
    if path.startswith("readouts."):
        allowed: tuple[str, ...] = READOUT
    else:
        allowed = ("sigmoid",) if ".act_gates." in path else ("silu",)
    if found not in allowed:
        raise InputError(f"module {path!r} applies {found}, where {' or '.join(allowed)} is known")
    _check_scale(path, attributes.get("cst"), found)
    if attributes.get("_is_id") is not False:
        raise InputError(f"module {path!r} does not scale its function")


def _check_gate(path: str, attributes: Mapping[str, object]) -> None:
    for name, scale, expected in (
        ("_act_scalar", "_scalar_cst", "silu"),
        *([("_act_gate", "_gate_cst", "sigmoid")] if attributes.get("_gated_info") != [] else []),
    ):
        if function_name(attributes.get(name)) != expected:
            raise InputError(f"module {path!r} applies {function_name(attributes.get(name))}, not {expected}")
        _check_scale(path, attributes.get(scale), expected)
    if attributes.get("_layout_is_ir_mul") is not False:
        raise InputError(f"module {path!r} has another layout of the features than the rest")


def _check_harmonics(path: str, attributes: Mapping[str, object]) -> None:
    if attributes.get("normalization") != "component" or attributes.get("normalize") is not True:
        raise InputError(f"module {path!r} is normalised otherwise than in mace-torch")


def _check_scale(path: str, value: object, function: str) -> None:
    if not abs(number(value, f"the scale of module {path!r}") / SCALES[function] - 1.0) < 1e-9:
        raise InputError(f"module {path!r} scales {function} by {value}, not by {SCALES[function]}")

"""A file of mace-torch, laid flat: tensors, classes and attributes by the dotted path of their module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from math import isfinite

import torch
from torch import Tensor

from crossfield.errors import InputError
from crossfield.zoo.pickled import Name, Record

# What the importer knows the meaning of. Any other class may compute anything.
_KNOWN = {
    "mace": """
        MACE ScaleShiftMACE AtomicEnergiesBlock ScaleShiftBlock LinearNodeEmbeddingBlock GenericJointEmbedding
        RadialEmbeddingBlock BesselBasis GaussianBasis ChebychevBasis PolynomialCutoff AgnesiTransform
        SoftTransform ZBLBasis RadialMLP RealAgnosticInteractionBlock RealAgnosticResidualInteractionBlock
        RealAgnosticDensityInteractionBlock RealAgnosticDensityResidualInteractionBlock
        RealAgnosticResidualNonLinearInteractionBlock GatedEquivariantBlock EquivariantProductBasisBlock
        SymmetricContraction Contraction reshape_irreps LinearReadoutBlock NonLinearReadoutBlock
        NonLinearBiasReadoutBlock""",
    "e3nn": """
        Linear TensorProduct FullyConnectedTensorProduct ElementwiseTensorProduct SphericalHarmonics
        FullyConnectedNet _Layer Activation normalize2mom Gate _Sortcut Extract""",
    "torch": """
        ModuleList ModuleDict Sequential ParameterList Linear LayerNorm SiLU Embedding reduce_graph_module
        GraphModule""",
}
KNOWN_CLASSES = frozenset(f"{package}.{name}" for package, names in _KNOWN.items() for name in names.split())
MODELS = ("mace.MACE", "mace.ScaleShiftMACE")
MAX_MODULES = MAX_TENSORS = 5_000  # mace-torch has some hundred
MAX_ATTRIBUTES = 1_000  # of one module; mace-torch has some forty
MAX_DEPTH = 50  # of a module in modules; mace-torch has seven


@dataclass
class Source:
    """What a file holds. Tensors are taken out one by one; those that are left over are an error."""

    tensors: dict[str, Tensor]
    classes: Mapping[str, str] = field(default_factory=dict)  # "" is the model; empty for a state dict
    attributes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    @property
    def is_state_dict(self) -> bool:
        """Whether there are tensors alone, without the modules they belong to."""
        return not self.classes

    def has(self, name: str) -> bool:
        """Whether there is such a tensor, or such a module with tensors of its own or below it."""
        return name in self.tensors or any(key.startswith(f"{name}.") for key in self.tensors)

    def peek(self, name: str) -> Tensor:
        """A tensor that stays where it is.

        Raises:
            InputError: there is none.
        """
        if name not in self.tensors:
            raise InputError(f"tensor {name!r} is missing")
        return self.tensors[name]

    def shape(self, name: str, axes: int) -> tuple[int, ...]:
        """Shape of a tensor; errors as in `peek`, or another number of axes."""
        shape = tuple(self.peek(name).shape)
        if len(shape) != axes:
            raise InputError(f"tensor {name!r} has shape {shape}, expected {axes} axes")
        return shape

    def one(self, name: str) -> float:
        """The number in a tensor of one entry, which stays; errors as in `peek`, or more entries."""
        tensor = self.peek(name)
        if tensor.numel() != 1:
            raise InputError(f"tensor {name!r} has shape {tuple(tensor.shape)}, expected one number")
        return float(tensor)

    def take(self, name: str) -> Tensor:
        """A tensor, which is not left over then; errors as in `peek`."""
        tensor = self.peek(name)
        del self.tensors[name]
        return tensor

    def count(self, pattern: str, first: int = 0, step: int = 1) -> int:
        """How many of pattern.format(first), pattern.format(first + step), ... there are in a row."""
        number = 0
        while self.has(pattern.format(first + number * step)):
            number += 1
        return number

    def kind(self, path: str) -> str:
        """Class of a module, without its package; an empty string in a state dict."""
        return self.classes.get(path, "").rpartition(".")[2]

    def attribute(self, path: str, name: str, default: object = None) -> object:
        """An attribute of a module, or the default where the file does not have it."""
        return self.attributes.get(path, {}).get(name, default)


def source_of(root: object) -> Source:
    """Lay flat what `zoo.torchfile` has read: a module, a state dict, or a training checkpoint with one.

    Raises:
        InputError: something else, or a module of a class that is not known.
    """
    if isinstance(root, Record):
        return _from_module(root)
    state = root.get("model", root) if isinstance(root, dict) else root
    if isinstance(state, Record):
        return _from_module(state)
    if not isinstance(state, dict) or not state or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError("this holds neither a model of mace-torch nor its state dict")
    if len(state) > MAX_TENSORS or not all(isinstance(name, str) for name in state):
        raise InputError("the names of the tensors are damaged, or there are far too many")
    return Source(dict(state))


def _from_module(root: Record) -> Source:
    tensors: dict[str, Tensor] = {}
    classes: dict[str, str] = {}
    attributes: dict[str, Mapping[str, object]] = {}
    stack: list[tuple[str, object]] = [("", root)]
    while stack:
        path, module = stack.pop()
        if module is None:  # a submodule that was switched off
            continue
        if len(classes) + len(stack) >= MAX_MODULES or path.count(".") >= MAX_DEPTH:
            raise InputError("the model has far too many modules, or contains itself")
        kind, state = _checked(path, module)
        classes[path] = kind
        attributes[path] = state
        for part in ("_parameters", "_buffers"):
            for name, tensor in _members(state, part, path):
                if len(tensors) >= MAX_TENSORS:
                    raise InputError("the model has far too many tensors")
                if isinstance(tensor, Tensor):
                    tensors[_join(path, name)] = tensor
                elif tensor is not None:
                    raise InputError(f"{_join(path, name)!r} is no tensor")
        stack += [(_join(path, name), child) for name, child in _members(state, "_modules", path)]
    if classes[""] not in MODELS:
        raise InputError(f"this is a {root.qualname}, not a model of mace-torch")
    return Source(tensors, classes, attributes)


def _checked(path: str, module: object) -> tuple[str, Mapping[str, object]]:
    """Class and attributes of a module."""
    where = f"module {path!r}" if path else "the model"
    if not isinstance(module, Record):
        raise InputError(f"{where} is a {type(module).__name__}, not a module")
    package, name = module.qualname.partition(".")[0], module.qualname.rpartition(".")[2]
    kind = f"{package}.{name}"
    if kind not in KNOWN_CLASSES:
        raise InputError(f"{where} is a {module.qualname}, which is not known here{_advice(module.qualname)}")
    state = module.state
    if name == "reduce_graph_module":  # a function of torch.fx: the attributes are its argument
        state = module.args[0] if module.args else None
    if not isinstance(state, dict) or len(state) > MAX_ATTRIBUTES:
        raise InputError(f"{where} ({module.qualname}) has no attributes, or far too many")
    return kind, state


def _advice(qualname: str) -> str:
    if qualname.startswith("cuequivariance"):
        return "; the file was saved with cuEquivariance kernels: mace_convert_cueq_e3nn turns it back"
    if qualname.startswith("openequivariance"):
        return "; the file was saved with OpenEquivariance kernels: mace_convert_oeq_e3nn turns it back"
    if "lora" in qualname.lower():
        return "; merge the LoRA weights into the model before saving it"
    return ""


def _members(state: Mapping[str, object], part: str, path: str) -> Iterator[tuple[str, object]]:
    members = state.get(part)
    if members is None:
        return
    if not isinstance(members, dict) or len(members) > MAX_TENSORS:
        raise InputError(f"{part} of module {path!r} is damaged")
    for name, value in members.items():
        if not isinstance(name, str) or "." in name:  # which would be the path of something else
            raise InputError(f"{part} of module {path!r} has a member {name!r}")
        yield name, value


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def number(value: object, what: str) -> float:
    """An attribute that must be one number.

    Raises:
        InputError: it is none.
    """
    one = isinstance(value, Tensor) and value.numel() == 1
    if one or (isinstance(value, int | float) and not isinstance(value, bool)):
        with suppress(OverflowError):  # a whole number may have any number of digits
            found = float(value)  # type: ignore[arg-type]  # it is one of the two
            if isfinite(found):
                return found
    raise InputError(f"{what} is {_shown(value)}, not a finite number")


def function_name(value: object) -> str:
    """The last part of the name of a function, or of what wraps it; "none" where there is none."""
    if value is None:
        return "none"
    if isinstance(value, Name) and value.qualname.startswith("torch."):
        return value.qualname.rpartition(".")[2]
    if isinstance(value, Record) and value.qualname.endswith(".getattr") and len(value.args) == 2:
        owner, name = value.args  # how functions that torch has in C++ are pickled
        if isinstance(owner, Name) and owner.qualname.startswith("torch.") and isinstance(name, str):
            return name
    return _shown(value)


def irreps(value: object) -> str:
    """Irreps in the usual notation: mace-torch keeps them as text or as an object of e3nn.

    Raises:
        InputError: neither of the two.
    """
    if isinstance(value, str):
        return value
    try:
        (terms,) = value.args  # type: ignore[attr-defined]  # AttributeError is caught, as the others are
        parts = []
        for term in terms:
            ((mul, irrep),) = term.args
            ((l, p),) = irrep.args
            parts.append(f"{int(mul)}x{int(l)}{'e' if p == 1 else 'o'}")
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"irreps are damaged: {_shown(value)}") from error
    return "+".join(parts)


def _shown(value: object) -> str:
    return value.qualname if isinstance(value, Record | Name) else f"a {type(value).__name__}"


def same(a: Tensor, b: Tensor) -> bool:
    """Whether a constant is what it should be, to the precision it is written in."""
    a, b = a.detach().to(torch.float64), b.detach().to(torch.float64)
    if a.shape != b.shape:
        return False
    return bool(torch.isclose(a, b, rtol=tolerance(a), atol=tolerance(a)).all())


def tolerance(x: Tensor, fine: float = 1e-10, coarse: float = 1e-6) -> float:
    """The coarse one for numbers that are, or at one time were, rounded to float32."""
    return coarse if bool((x.to(torch.float64) == x.to(torch.float32)).all()) else fine

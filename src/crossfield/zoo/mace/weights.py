"""Weights of a file, named and shaped as ours.

Both sides use the same harmonics and the same order of paths, so that weights only change their shape, but
for those of the symmetric couplings (`couplings.py`). mace-torch's features are flat, with channels slow and
components fast; its Linears keep one flat list of weights, l after l, inputs slow.
"""

from __future__ import annotations

import torch
from torch import Tensor

from crossfield.errors import InputError
from crossfield.model import Model, ModelConfig
from crossfield.zoo.mace.couplings import check_shape, projection
from crossfield.zoo.mace.describe import INPUT_NAMES
from crossfield.zoo.mace.source import Source


def weights_of(source: Source, model: Model) -> dict[str, Tensor]:
    """The state of a model from the weights of a source, which are taken out of it.

    Args:
        source: the file.
        model: the model, of which only the shapes matter.

    Raises:
        InputError: a tensor is missing or has another number of entries; the message names it.
    """
    return _Copy(source, model).copy()


def check_couplings(source: Source, config: ModelConfig) -> None:
    """Check the shapes of all coupling tensors, before anything of the size that they claim is evaluated.

    Raises:
        InputError: one is missing, or has another shape; the message names it.
    """
    for layer, degrees in enumerate(config.correlations):
        for L in range(config.hidden_L(layer) + 1):
            for degree in range(1, degrees + 1):
                name = f"products.{layer}.symmetric_contractions.contractions.{L}.U_matrix_{degree}"
                check_shape(source.peek(name), config.l_max, L, degree, name)


class _Copy:
    """One conversion: `state` grows as the source shrinks."""

    def __init__(self, source: Source, model: Model) -> None:
        self.source, self.model = source, model
        self.shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
        self.state: dict[str, Tensor] = {}

    def copy(self) -> dict[str, Tensor]:
        model = self.model
        self.flat("embedding.weight", "node_embedding.linear.weight")
        if model.inputs is not None:
            self.inputs()
        if model.embedding_readout is not None:
            self.flat("embedding_readout.weight", "embedding_readout.linear.weight")
        for i, kind in enumerate(model.config.blocks):
            at = f"interactions.{i}."
            if kind == "nonlinear":
                self.nonlinear(at)
            else:
                ours = "skip" if kind in ("residual", "density_residual") else "mix"
                self.messages(at)
                self.element_linear(f"{at}{ours}.weights", f"{at}skip_tp.weight")
            self.product(i)
        for k, name in enumerate(model.readouts):
            self.readout(f"readouts.{name}.", f"readouts.{k}.")
        return self.state

    def put(self, target: str, value: Tensor, source: str) -> None:
        """Set one of our weights; the number of entries must be right, the shape becomes ours."""
        shape = self.shapes[target]
        if value.numel() != shape.numel():
            raise InputError(f"tensor {source!r} has {value.numel()} entries for {tuple(shape)} here")
        self.state[target] = value.detach().reshape(shape).contiguous()

    def flat(self, target: str, source: str) -> None:
        """A tensor that e3nn keeps as one list of entries, which are ours in our order."""
        (part,) = self.split(source, [target])
        self.put(target, part, source)

    def listed(self, targets: str) -> list[str]:
        """Names of a list of our weights: targets.0, targets.1, ..."""
        count = sum(name.rpartition(".")[0] == targets for name in self.shapes)
        return [f"{targets}.{l}" for l in range(count)]

    def linear(self, targets: str, source: str) -> None:
        """An equivariant Linear: one flat list, l after l, inputs slow."""
        names = self.listed(targets)
        for name, part in zip(names, self.split(source, names), strict=True):
            self.put(name, part, source)

    def element_linear(self, targets: str, source: str) -> None:
        """A Linear with weights for each element: theirs are (inputs, elements, outputs) for each l."""
        names = self.listed(targets)
        for name, part in zip(names, self.split(source, names), strict=True):
            elements, n_in, n_out = self.shapes[name]
            self.put(name, part.reshape(n_in, elements, n_out).transpose(0, 1), source)

    def split(self, source: str, targets: list[str]) -> tuple[Tensor, ...]:
        flat = self.source.take(source)
        sizes = [self.shapes[name].numel() for name in targets]
        if flat.dim() != 1 or flat.numel() != sum(sizes):
            raise InputError(f"tensor {source!r} has shape {tuple(flat.shape)}, expected ({sum(sizes)},)")
        return flat.split(sizes)

    def inputs(self) -> None:
        theirs = {ours: name for name, ours in INPUT_NAMES.items()}
        self.exact("inputs.project.weight", "joint_embedding.project.0.weight")
        prefix = "inputs.embedders."
        for target in [name for name in self.shapes if name.startswith(prefix)]:
            name, _, rest = target.removeprefix(prefix).partition(".")
            self.exact(target, f"joint_embedding.embedders.{theirs.get(name, name)}.{rest}")

    def nonlinear(self, at: str) -> None:
        self.flat(f"{at}sender_embedding", f"{at}source_embedding.weight")
        self.flat(f"{at}receiver_embedding", f"{at}target_embedding.weight")
        for ours, theirs in (
            ("linear_up", "linear_up"),
            ("linear_res", "linear_res"),
            ("linear_skip", "skip_tp"),
            ("linear_1", "linear_1"),
            ("linear_2", "linear_2"),
        ):
            self.linear(f"{at}{ours}.weights", f"{at}{theirs}.weight")
        self.network(f"{at}radial.", f"{at}conv_tp_weights.net.")
        self.network(f"{at}density.", f"{at}density_fn.net.")
        self.exact(f"{at}alpha", f"{at}alpha")
        self.exact(f"{at}beta", f"{at}beta")

    def network(self, target: str, source: str) -> None:
        """A radial network: Linear, LayerNorm, SiLU and again, of which the third has no weights."""
        for kind, offset in (("linears", 0), ("norms", 1)):
            for k in range(len(self.listed_modules(f"{target}{kind}"))):
                for what in ("weight", "bias"):
                    self.exact(f"{target}{kind}.{k}.{what}", f"{source}{3 * k + offset}.{what}")

    def listed_modules(self, target: str) -> set[str]:
        prefix = f"{target}."
        return {n.removeprefix(prefix).split(".")[0] for n in self.shapes if n.startswith(prefix)}

    def exact(self, target: str, source: str) -> None:
        """A tensor that must have our shape."""
        value = self.source.take(source)
        if value.shape != self.shapes[target]:
            raise InputError(
                f"tensor {source!r} has shape {tuple(value.shape)}, expected {tuple(self.shapes[target])}"
            )
        self.put(target, value, source)

    def messages(self, at: str) -> None:
        self.linear(f"{at}messages.linear_up.weights", f"{at}linear_up.weight")
        self.linear(f"{at}messages.linear.weights", f"{at}linear.weight")
        for k, name in enumerate(self.listed(f"{at}messages.radial.weights")):
            self.exact(name, f"{at}conv_tp_weights.layer{k}.weight")
        density = f"{at}messages.divisor.network.weights.0"
        if density in self.shapes:
            self.exact(density, f"{at}density_fn.layer0.weight")

    def product(self, layer: int) -> None:
        config = self.model.config
        at = f"products.{layer}."
        self.linear(f"{at}linear.weights", f"{at}linear.weight")
        degrees = config.correlations[layer]
        for L in range(config.hidden_L(layer) + 1):
            below = f"{at}symmetric_contractions.contractions.{L}."
            target = f"{at}weights.{L}"
            parts = []
            for degree in range(1, degrees + 1):
                # the highest degree first, under a name of its own
                name = below + ("weights_max" if degree == degrees else f"weights.{degrees - 1 - degree}")
                coupling = f"{below}U_matrix_{degree}"
                P = projection(self.source.take(coupling), config.l_max, L, degree, coupling)
                theirs = self.source.take(name)
                rows, _, channels = self.shapes[target]
                if theirs.shape != (rows, P.shape[1], channels):
                    expected = (rows, P.shape[1], channels)
                    raise InputError(f"tensor {name!r} has shape {tuple(theirs.shape)}, expected {expected}")
                self.flag(f"{below}weights_{'max' if degree == degrees else degree - 1}_zeroed")
                parts.append(
                    torch.einsum("kj,ejc->ekc", P, theirs.detach().to(torch.float64)).to(theirs.dtype)
                )
            self.put(target, torch.cat(parts, dim=1), below)

    def flag(self, name: str) -> None:
        """A note, absent in older files, that a coupling is zero; its weights tell nothing then."""
        if self.source.has(name):
            self.source.take(name)

    def readout(self, target: str, source: str) -> None:
        if f"{target}weight" in self.shapes:
            self.flat(f"{target}weight", f"{source}linear.weight")
            return
        self.flat(f"{target}weight_1", f"{source}linear_1.weight")
        if f"{target}bias_2" in self.shapes:
            self.flat(f"{target}weight_2", f"{source}linear_mid.weight")
            self.flat(f"{target}bias_2", f"{source}linear_mid.bias")
            self.flat(f"{target}weight_3", f"{source}linear_2.weight")
            self.flat(f"{target}bias_3", f"{source}linear_2.bias")
        else:
            self.flat(f"{target}weight_2", f"{source}linear_2.weight")

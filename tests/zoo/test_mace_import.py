"""Models of mace-torch: the same numbers, and a named error for whatever is not understood."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from crossfield.errors import InputError
from crossfield.inference.potential import Potential
from crossfield.model import evaluate
from crossfield.theory import known_theories
from crossfield.zoo import mace
from crossfield.zoo.mace.couplings import projection
from crossfield.zoo.mace.describe import _only
from crossfield.zoo.mace.read import model_of
from crossfield.zoo.mace.source import source_of
from crossfield.zoo.pickled import Name, Record
from tests.zoo.samples import (
    DENSITY,
    EXPECTED,
    FACTS,
    NONLINEAR,
    STATE_DICT,
    source,
    structures,
    with_pickle,
    with_tensors,
)


def refusal(path, facts=None) -> str:
    """The message with which a file is refused; names the file, on one line."""
    with pytest.raises(InputError) as error:
        mace.read(path, facts)
    text = str(error.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text


def refused(source, facts=None) -> str:
    with pytest.raises(InputError) as error:
        model_of(source, facts or {})
    return str(error.value)


# -- what is read


@pytest.mark.parametrize(("path", "heads"), [(NONLINEAR, ("omat_pbe", "house")), (DENSITY, ("head0",))])
def test_the_numbers_of_mace_torch(path, heads):
    imported = mace.read(path)
    assert imported.kind == "module"
    potential = Potential(imported.model, table_accuracy=None)
    assert potential.heads == list(heads)
    expected, first = EXPECTED[path.stem], 0
    for i, atoms in enumerate(structures()):
        (result,) = potential.predict(atoms, head=heads[i % len(heads)])
        forces = np.array(expected["forces"][first : first + len(atoms)])
        first += len(atoms)
        assert result.energy == pytest.approx(expected["energy"][i], rel=1e-12)
        np.testing.assert_allclose(result.forces, forces, rtol=0, atol=1e-12 * np.abs(forces).max())


def test_configurations_are_recovered():
    config = mace.read(NONLINEAR).model.config
    assert config.blocks == ("nonlinear", "nonlinear")
    assert (config.channels, config.edge_channels, config.l_max, config.max_L) == (2, 1, 1, 1)
    assert (config.cutoff_on, config.transform, config.pair) == ("weights", "agnesi", "zbl")
    assert config.inputs["spin"].model_dump() == {
        "kind": "class",
        "classes": 5,
        "offset": -1,
        "width": 3,
        "bias": True,
    }
    config = mace.read(DENSITY).model.config
    assert config.blocks == ("density", "density_residual")
    assert config.product_per_element
    assert config.cutoff_on == "basis"


def test_heads_take_the_theory_of_their_name():
    known, unknown = mace.read(NONLINEAR).model.heads
    assert known.theory == known_theories()["omat_pbe"]
    assert "does not say" in unknown.theory.notes
    assert unknown.theory.default_spin is None  # the model reads it, so it must be stated


def test_a_state_dict_is_the_same_model():
    module, tensors = mace.read(DENSITY), mace.read(STATE_DICT, FACTS)
    assert tensors.kind == "state dict"
    assert tensors.model.config == module.model.config
    a, b = module.model.state_dict(), tensors.model.state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_bare_state_dict_is_read_too(tmp_path):
    torch.save(source(STATE_DICT).tensors, tmp_path / "bare.pt")
    a = mace.read(tmp_path / "bare.pt", FACTS).model.state_dict()
    b = mace.read(STATE_DICT, FACTS).model.state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_float32_stays_float32(tmp_path):
    def halve(tensors):
        tensors.update({n: t.float() for n, t in tensors.items() if t.is_floating_point()})

    with_tensors(tmp_path / "single.pt", halve)
    single = mace.read(tmp_path / "single.pt", FACTS).model
    assert single.dtype == torch.float32
    exact = mace.read(STATE_DICT, FACTS).model
    for a, b in zip(single.parameters(), exact.parameters(), strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-6, atol=1e-6)


def test_imported_weights_can_be_trained_further():
    """A few steps towards forces of another model; the error falls to a fraction."""
    student, teacher = mace.read(DENSITY).model, mace.read(DENSITY).model
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.mul_(1.2)
    potential = Potential(teacher)
    batch = [potential.graph(atoms) for atoms in structures()]
    wanted = [evaluate(teacher, graph).forces for graph in batch]
    student.requires_grad_(True)
    optimiser = torch.optim.Adam(student.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        found = [evaluate(student, graph, training=True).forces for graph in batch]
        loss = sum(((f - w) ** 2).mean() for f, w in zip(found, wanted, strict=True))
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.2 * losses[0]
    assert all(parameter.grad is not None for parameter in student.parameters())


# -- what a state dict does not say


def test_what_is_missing_is_listed_at_once():
    tensors = source(NONLINEAR).tensors | {}
    text = refused(source_of({"model": tensors}))
    for key in ("cutoff_on=", "readout_activation=silu", "heads=[...]", "offsets={total_spin: NUMBER}"):
        assert key in text
    assert "average_neighbours" not in text  # nothing is divided by it


def test_facts_have_names_and_values():
    assert "cutoff_at: Extra inputs" in refusal(STATE_DICT, {**FACTS, "cutoff_at": 3})
    assert "cutoff_on: Input should be 'basis' or 'weights'" in refusal(
        STATE_DICT, {**FACTS, "cutoff_on": "edges"}
    )
    assert "expected (2, 4)" in refusal(STATE_DICT, {**FACTS, "heads": ["a", "b"]})


def test_facts_that_the_file_states_are_refused():
    assert "the file itself states cutoff_on, readout_activation; leave --set out" in refusal(DENSITY, FACTS)


def test_a_module_that_does_not_say_what_the_cutoff_multiplies(tmp_path):
    """mace-torch would take its default, which may be wrong."""
    path = tmp_path / "m.model"
    with_pickle(path, NONLINEAR, lambda data: data.replace(b"apply_cutoff", b"apply_sutoff"))
    assert "--set cutoff_on=basis or weights" in refusal(path)
    model = mace.read(path, {"cutoff_on": "weights"}).model
    assert model.config == mace.read(NONLINEAR).model.config


# -- what is not understood


@pytest.mark.parametrize("path", [NONLINEAR, DENSITY])
def test_every_tensor_is_needed(path):
    """One is taken out after the other: each is missed by its name, but for those that are only checked."""
    optional = re.compile(r"\.(output_mask|bias)$|_zeroed$|conv_tp\.weight$|skip_tp\.output_mask$")
    names = list(source(path).tensors)
    for name in names:
        changed = source(path)
        empty = changed.tensors.pop(name).numel() == 0
        if optional.search(name) and (empty or not name.endswith("bias")):
            model_of(changed, {})
            continue
        text = refused(changed)
        assert "missing" in text or "readouts for" in text or "left over" in text, name
        if "missing" in text:
            module = name.rpartition(".")[0].split(".")
            assert module[0] in text or name in text


def test_tensors_that_are_left_over_are_named():
    changed = source(DENSITY)
    changed.tensors["interactions.1.more"] = torch.ones(3, dtype=torch.float64)
    assert "tensor 'interactions.1.more' is left over" in refused(changed)


@pytest.mark.parametrize("path", [NONLINEAR, DENSITY])
def test_renamed_tensors_are_noticed(path):
    for name in list(source(path).tensors):
        if name.endswith("output_mask"):
            continue
        changed = source(path)
        changed.tensors[f"{name}_"] = changed.tensors.pop(name)
        text = refused(changed)
        assert "left over" in text or "missing" in text or "readouts for" in text, name


@pytest.mark.parametrize("path", [NONLINEAR, DENSITY])
def test_shapes_that_do_not_fit_are_refused(path):
    free = ("output_mask", "_zeroed", "covalent_radii")  # whose further entries mean nothing
    for name, tensor in source(path).tensors.items():
        if tensor.numel() > 0 and not name.endswith(free):
            changed = source(path)
            changed.tensors[name] = torch.cat([tensor.flatten(), tensor.flatten()[:1]])
            assert refused(changed), name


def other_shapes(tensor: torch.Tensor) -> list[torch.Tensor]:
    """The same number of entries in every other shape that may come to mind."""
    found = [tensor.unsqueeze(0), tensor.unsqueeze(-1), tensor.flatten(), tensor.reshape(1, -1)]
    if tensor.dim() > 1:
        found += [tensor.movedim(0, -1), tensor.movedim(-1, 0), tensor.flip(0).reshape(tensor.shape[::-1])]
    return [other.contiguous() for other in found if other.shape != tensor.shape]


@pytest.mark.parametrize("path", [NONLINEAR, DENSITY])
def test_tensors_in_another_shape_never_give_other_numbers(path):
    """Transposed, flattened, with more axes: refused, or the weights are the same to the last bit."""
    expected, tried, refusals = model_of(source(path), {}).model.state_dict(), 0, 0
    for name, tensor in source(path).tensors.items():
        for other in other_shapes(tensor):
            changed = source(path)
            changed.tensors[name] = other
            tried += 1
            try:
                found = model_of(changed, {}).model.state_dict()
            except InputError:
                refusals += 1
                continue
            assert all(torch.equal(found[key], expected[key]) for key in expected), (name, other.shape)
    assert tried > 300
    assert refusals > 0.4 * tried


@pytest.mark.parametrize("first", ["plain", "residual"])
def test_a_state_dict_that_fits_two_kinds_is_refused(first):
    """With scalars only, weights of elements look alike whether they mix the message or what goes past it."""
    tensors = {
        "atomic_numbers": torch.tensor([1, 8]),
        "node_embedding.linear.weight": torch.zeros(6),
        "products.0.symmetric_contractions.contractions.0.U_matrix_1": torch.ones(1, 1),
        "products.0.symmetric_contractions.contractions.0.weights_max": torch.zeros(2, 1, 3),
        "interactions.0.linear_up.weight": torch.zeros(9),
        "interactions.0.skip_tp.weight": torch.zeros(18),
        "interactions.0.skip_tp.output_mask": torch.ones(3),
        "atomic_energies_fn.atomic_energies": torch.zeros(2),
    }
    text = refused(source_of(tensors), {"cutoff_on": "basis", "average_neighbours": 9.0})
    assert "fit plain or residual interactions alike" in text


def test_later_layers_are_told_apart_by_the_last():
    """In the middle of three, features with L up to l_max fit both kinds."""
    kinds = [{"plain", "residual"}, {"residual"}]
    assert _only(kinds) == "residual"
    with pytest.raises(InputError, match="differ: plain or residual, density"):
        _only([{"plain", "residual"}, {"density"}])


@pytest.mark.parametrize("value", [2**2000, float("nan"), float("inf"), "9", None, True])
def test_numbers_must_be_finite_numbers(value):
    changed = source(DENSITY)
    attributes = {path: dict(found) for path, found in changed.attributes.items()}
    attributes["interactions.0"]["avg_num_neighbors"] = value
    changed.attributes = attributes
    if value is None:
        model_of(changed, {})  # a layer that does not say, where nothing is divided by it
    else:
        assert "not a finite number" in refused(changed)


@pytest.mark.parametrize("heads", [["a\x1b[2Jb"], [""], ["a\nb"]])
def test_names_of_heads_are_fit_for_a_terminal(heads):
    changed = source(DENSITY)
    changed.attributes = {**changed.attributes, "": {**changed.attributes[""], "heads": heads}}
    assert "cannot be printed" in refused(changed)


CLAIMS = """
import resource, sys, torch
from crossfield.errors import InputError
from crossfield.zoo.mace.read import model_of
from tests.zoo.samples import DENSITY, FACTS, STATE_DICT, source
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (2 * used + 2**30, 2 * used + 2**30))
kind, n = sys.argv[1], 60_000
found = source(DENSITY if kind == "channels" else STATE_DICT)
def put(name, *shape):
    found.tensors[name] = torch.zeros(shape, dtype=torch.float64)
if kind == "channels":
    found.attributes = {
        path: {k: v for k, v in values.items() if "irreps" not in k}
        for path, values in found.attributes.items()
    }
    put("node_embedding.linear.weight", 4 * n)
    put("interactions.0.linear_up.weight", n)
    put("interactions.1.linear_up.weight", 2 * n)
    put("readouts.1.linear_1.weight", 2 * n)
if kind == "couplings":
    for i in range(2):
        at = f"products.{i}.symmetric_contractions.contractions.0."
        put(at + "U_matrix_1", 49, 1)
        for k in range(3):
            put(f"{at}weights.{k}", 4, 1, 2)
    put("interactions.0.skip_tp.weight", 4 * 4 * 7)
    put("interactions.0.skip_tp.output_mask", 2 * 49)
if kind == "layers":
    for i in range(2, 4000):
        put(f"interactions.{i}.linear_up.weight", 1)
if kind == "tensors":
    for i in range(6000):
        put(f"more.{i}", 1)
try:
    model_of(found, {} if kind == "channels" else FACTS)
except InputError as error:
    print("refused:", error)
"""


@pytest.mark.parametrize("kind", ["channels", "couplings", "layers", "tensors"])
def test_what_a_small_file_claims_takes_no_memory(kind):
    run = subprocess.run([sys.executable, "-c", CLAIMS, kind], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-500:]
    assert run.stdout.startswith("refused: ")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("radial_embedding.bessel_fn.bessel_weights", "bessel_weights' is of shape (3,)"),
        ("radial_embedding.bessel_fn.prefactor", "prefactor' is 1.3"),
        (
            "radial_embedding.distance_transform.q",
            "distance_transform.q' is 1.8366, where this model has 0.9183",
        ),
        ("radial_embedding.distance_transform.covalent_radii", "differs from the covalent radii"),
        ("radial_embedding.cutoff_fn.r_max", "cutoff_fn.r_max' is 9"),
        ("pair_repulsion_fn.c", "pair_repulsion_fn.c'"),
        ("pair_repulsion_fn.a_exp", "a_exp' is 0.6, where this model has 0.3"),
        ("pair_repulsion_fn.p", "pair_repulsion_fn.p' is 10"),
        ("num_interactions", "num_interactions' is 4, where this model has 2"),
    ],
)
def test_constants_of_another_value_are_named(name, message):
    changed = source(NONLINEAR)
    changed.tensors[name] = 2 * changed.tensors[name]
    assert message in refused(changed)


def test_weights_must_be_finite():
    changed = source(DENSITY)
    changed.tensors["interactions.0.linear.weight"][1] = float("nan")
    assert "NaN" in refused(changed)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_weights_in_half_precision_are_refused(kind):
    changed = source(DENSITY)
    changed.tensors = {n: t.to(kind) if t.is_floating_point() else t for n, t in changed.tensors.items()}
    assert "expected float32 or float64" in refused(changed)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            b"mace.modules.blocks\nLinearReadoutBlock",
            b"mine.modules.blocks\nLinearReadoutBlock",
            "mine.modules",
        ),
        (
            b"mace.modules.blocks\nLinearReadoutBlock",
            b"mace.modules.blocks\nLinearReadoutBlonk",
            "LinearReadoutBlonk",
        ),
        (b"e3nn.o3._linear\nLinear", b"cuequivariance_torch\nLinear", "mace_convert_cueq_e3nn"),
        (b"e3nn.o3._linear\nLinear", b"mace.modules.lora\nLoRALinear", "merge the LoRA weights"),
        (b"torch.nn.functional\nsilu", b"torch.nn.functional\nrelu", "applies relu"),
        (b"torch.nn.functional\nsilu", b"builtins\neval", "applies builtins.eval"),
        (b"component", b"intregral", "normalised otherwise"),
    ],
)
def test_modules_that_are_not_known_are_named(tmp_path, old, new, message):
    path = tmp_path / "m.model"
    with_pickle(
        path,
        NONLINEAR,
        lambda data: data.replace(old + b"\n" if b"\n" in old else old, new + b"\n" if b"\n" in new else new),
    )
    assert message in refusal(path)


@pytest.mark.parametrize(
    "root",
    [
        None,
        3,
        [torch.zeros(2)],
        {},
        {"model": {}},
        {"weights": 3},
        {"model": {"a": "text"}},
        Name("os.system"),
        Record("builtins.print"),
        Record("mace.modules.models.ScaleShiftMACE"),
        Record("mace.modules.models.ScaleShiftMACE", state={"_modules": 3}),
        Record("mace.modules.models.ScaleShiftMACE", state={"_buffers": {"r_max": "6"}}),
        Record("mace.modules.models.ScaleShiftMACE", state={"_modules": {"interactions": [1]}}),
    ],
)
def test_other_things_are_refused(root):
    with pytest.raises(InputError):
        model_of(source_of(root), FACTS)


def test_a_model_that_contains_itself_is_refused():
    state: dict[str, object] = {}
    root = Record("mace.modules.models.ScaleShiftMACE", state=state)
    state["_modules"] = {"again": root}
    with pytest.raises(InputError, match="contains itself"):
        source_of(root)


# -- couplings


def test_couplings_outside_the_equivariant_ones_are_refused():
    U = source(NONLINEAR).tensors["products.0.symmetric_contractions.contractions.1.U_matrix_2"].clone()
    assert projection(U, 1, 1, 2, "U").shape == (1, 1)
    U[0, 1, 2] += 1e-9
    with pytest.raises(InputError, match=r"'U' holds couplings that are not equivariant.* by 1.0e-09"):
        projection(U, 1, 1, 2, "U")


def test_redundant_couplings_give_the_polynomial_that_they_gave():
    """Random weights of a redundant basis, which is not symmetric in its inputs, against ours."""
    U = source(DENSITY).tensors["products.0.symmetric_contractions.contractions.1.U_matrix_2"]
    assert U.shape == (3, 4, 4, 2)  # one more than is independent
    w, x = torch.randn(2, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    theirs = torch.einsum("mijk,k,i,j->m", U, w, x, x)
    ours = projection(U, 1, 1, 2, "U") @ w
    independent = source(NONLINEAR).tensors["products.0.symmetric_contractions.contractions.1.U_matrix_2"]
    back = projection(independent, 1, 1, 2, "U")  # of theirs, one, in ours, one
    again = torch.einsum("mijk,k,i,j->m", independent, torch.linalg.solve(back, ours), x, x)
    torch.testing.assert_close(again, theirs)


def test_every_weight_comes_from_the_file():
    """None keeps the random value that it had before."""
    a = mace.read(DENSITY).model.state_dict()
    torch.manual_seed(123)
    b = mace.read(DENSITY).model.state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)

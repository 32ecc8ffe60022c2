from __future__ import annotations

import pytest
import torch

from crossfield.errors import InputError
from crossfield.kernels import product
from crossfield.kernels.product import check_tensor_cores, rounded, ten_bits
from crossfield.model import evaluate
from tests.structures import batch_of, small_model, structures

EXACT = torch.float64
HALF = 2.0**-11  # the largest relative change by rounding to ten bits


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_numbers_are_rounded_to_ten_bits():
    x = random(10_000) * 10.0 ** random(10_000, seed=1)
    y = ten_bits(x)
    error = ((y - x) / x).abs()
    assert HALF / 2 < float(error.max()) <= HALF
    assert (y.view(torch.int32) & 0x1FFF == 0).all()
    assert torch.equal(ten_bits(y), y)
    assert torch.equal(ten_bits(-x), -y)
    odd = torch.tensor([0.0, torch.inf, -torch.inf, torch.nan, 1.0])
    torch.testing.assert_close(ten_bits(odd), odd, rtol=0, atol=0, equal_nan=True)


def test_derivatives_are_products_of_rounded_numbers_again():
    """Of first and second order, as in training on forces; each is compared with what is written out."""
    x, W = random(2, 3, 5).requires_grad_(), random(5, 4, seed=1).requires_grad_()
    g = random(2, 3, 4, seed=2).requires_grad_()
    y = product(x, W, in_tf32=True)
    gx, gW = torch.autograd.grad(y, (x, W), g, create_graph=True)
    v, u = random(2, 3, 5, seed=3), random(5, 4, seed=4)
    second = torch.autograd.grad((gx, gW), (x, W, g), (v, u))

    def times(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return ten_bits(a) @ ten_bits(b)

    rows = x.detach().flatten(0, 1), g.detach().flatten(0, 1), v.flatten(0, 1)
    X, G, V = rows
    M = W.detach()
    assert torch.equal(y.flatten(0, 1), times(X, M))
    assert torch.equal(gx.flatten(0, 1), times(G, M.T))
    assert torch.equal(gW, times(X.T, G))
    expected = times(G, u.T), times(V.T, G), times(V, M) + times(X, u)
    for found, value in zip(second, expected, strict=True):
        torch.testing.assert_close(found.reshape(value.shape), value, rtol=1e-6, atol=1e-6)


def test_products_are_those_of_torch_by_default():
    x, W, b = random(3, 2, 5), random(5, 4, seed=1), random(4, seed=2)
    assert torch.equal(product(x, W), x @ W)
    assert torch.equal(product(x[0], W, b), torch.nn.functional.linear(x[0], W.T, b))
    tf32 = product(x[0], W, b, in_tf32=True)
    assert not torch.equal(tf32, product(x[0], W, b))
    torch.testing.assert_close(tf32, product(x[0], W, b), rtol=0, atol=1e-2)


def test_only_single_precision_is_rounded():
    with pytest.raises(TypeError, match="TF32 rounds float32"):
        product(random(2, 2).double(), random(2, 2).double(), in_tf32=True)


@pytest.mark.parametrize("old", [False, True])
def test_models_multiply_in_tf32_where_that_is_said_and_only_then(old):
    """Each kind of product by itself moves the forces, by about what is rounded."""
    changes = {"interaction": "density_residual", "first_interaction": "density"} if old else {}
    model, graph = small_model(dtype=torch.float32, **changes), batch_of(structures()["molecule"])
    before = evaluate(model, graph).forces
    found = {}
    for kinds in ((), ("linears",), ("radial",), ("linears", "radial")):
        with rounded(model, kinds):
            found[kinds] = evaluate(model, graph).forces
    assert torch.equal(found[()], before)
    values = list(found.values())
    for i, a in enumerate(values):
        for b in values[:i]:
            assert 1e-6 < float((a - b).abs().max() / before.abs().max()) < 2e-2
    with pytest.raises(RuntimeError), rounded(model, ("linears", "radial")):
        raise RuntimeError
    assert torch.equal(evaluate(model, graph).forces, before)


def test_devices_without_such_tensor_cores_are_refused(monkeypatch):
    with pytest.raises(InputError, match="no tensor cores on cpu"):
        check_tensor_cores(torch.device("cpu"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla V100")
    for capability in ((7, 0), (8, 0), (9, 0)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, c=capability: c)
        if capability < (8, 0):
            with pytest.raises(InputError, match="V100 do not multiply in TF32"):
                check_tensor_cores(torch.device("cuda"))
        else:
            check_tensor_cores(torch.device("cuda"))

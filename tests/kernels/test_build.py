"""Compiling, and the cache of compiled code."""

from __future__ import annotations

import ctypes
import os
import threading
from functools import partial

import pytest
import torch

from crossfield.kernels.native import build, pointwise, pool
from crossfield.kernels.native.build import Source, functions, host
from crossfield.kernels.native.emit import Code


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of its own, and no memory of what was compiled."""
    monkeypatch.setenv("CROSSFIELD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "_functions", {})
    return tmp_path / "cache" / "kernels"


def scaling(size: int) -> Source:
    return Source(pointwise.SCALE, "float64", partial(pointwise.scale, size=size))


def works(function, size: int) -> bool:
    x, factor = torch.ones(2, size, dtype=torch.float64), torch.tensor([2.0, 3.0], dtype=torch.float64)
    function(0, 2, factor.data_ptr(), x.data_ptr())
    return x.tolist() == [[2.0] * size, [3.0] * size]


def test_compiled_once_and_kept(cache, monkeypatch, capsys):
    before = build.progress()
    (f,) = functions([scaling(5)])
    assert works(f, 5)
    assert len(list(cache.iterdir())) == 1
    said = capsys.readouterr().err
    assert "compiling 1 kernels for this processor" in said
    assert str(cache) in said
    assert functions([scaling(5)]) == [f]

    monkeypatch.setattr(build, "_functions", {})
    monkeypatch.setattr(host(), "compile", lambda text: pytest.fail("compiled again"))
    (again,) = functions([scaling(5)])
    assert works(again, 5)
    assert capsys.readouterr().err == ""
    after = build.progress()
    assert (after.compiled - before.compiled, after.loaded - before.loaded) == (1, 1)
    assert after.seconds > before.seconds


@pytest.mark.parametrize("damage", [b"", b"short", bytes(200)])
def test_damaged_code_is_compiled_again(cache, monkeypatch, damage):
    functions([scaling(6)])
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage or whole[:-1])
    monkeypatch.setattr(build, "_functions", {})
    (f,) = functions([scaling(6)])
    assert works(f, 6)
    assert file.read_bytes() == whole


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch, capsys):
    """Also as root, for whom nothing is read-only: a file is where the folder should be."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CROSSFIELD_CACHE", str(tmp_path / "file"))
    (f,) = functions([scaling(7)])
    assert works(f, 7)
    assert "not kept: the cache cannot be written" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_cache(cache, capsys):
    cache.mkdir(parents=True)
    cache.chmod(0o500)
    (f,) = functions([scaling(8)])
    assert works(f, 8)


def test_other_code_has_another_key():
    texts = {scaling(n).text() for n in (9, 10)}
    assert len({host().key(text) for text in texts}) == 2


def test_from_many_threads():
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.extend(functions([scaling(11)]))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


# -- the language


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_exp(precision):
    dtype = {"float32": torch.float32, "float64": torch.float64}[precision]

    def write(code: Code) -> None:
        with code.loop(0, code.argument("n"), code.lanes) as k:
            code.store(code.load(code.argument("x"), k).exp(), code.argument("y"), k)

    (f,) = functions([Source(("n", "x", "y"), precision, write)])
    x = torch.linspace(-80.0, 80.0, 1600, dtype=dtype)
    y = torch.empty_like(x)
    f(len(x), x.data_ptr(), y.data_ptr())
    torch.testing.assert_close(y, x.double().exp().to(dtype), rtol=4 * torch.finfo(dtype).eps, atol=0)


def test_vectors_of_other_machines():
    """What is written for narrow vectors and few registers is correct here, too."""
    from crossfield.kernels.native.emit import Machine

    for machine in (Machine(16, 16), Machine(16, 32), Machine(32, 16)):
        code = Code(build.NAME, pointwise.SCALE, "float32", machine)
        pointwise.scale(code, 13)
        name = f"{build.NAME}_{machine.vector_bytes}_{machine.registers}"
        object_code = host().compile(code.text().replace(f"@{build.NAME}(", f"@{name}("))
        f = host().load(object_code, name, len(pointwise.SCALE))
        x, factor = torch.ones(1, 13), torch.tensor([5.0])
        f(0, 1, factor.data_ptr(), x.data_ptr())
        assert x.tolist() == [[5.0] * 13]
        assert isinstance(f, ctypes._CFuncPtr)


# -- threads


def test_work_is_cut_without_gaps():
    for weights in ([], [3], [1, 1, 1], [100, 1, 1, 1], [0, 0, 0, 5]):
        for parts in (1, 2, 3, 5):
            cut = pool.cut(torch.tensor(weights, dtype=torch.int64).numpy(), parts)
            assert len(cut) == parts
            covered = [k for begin, end in cut for k in range(begin, end)]
            assert covered == list(range(len(weights)))


def test_an_error_of_a_thread_is_raised():
    def work(part: int) -> None:
        if part == 1:
            raise RuntimeError("here")

    with pytest.raises(RuntimeError, match="here"):
        pool.run(work, 3)


def test_after_a_fork():
    """Threads are gone in the child, which starts its own."""
    pool.run(lambda part: None, 3)
    child = os.fork()
    if child == 0:
        pool.run(lambda part: None, 3)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

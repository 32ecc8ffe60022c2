"""The couplings that are kept are those that are evaluated."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from crossfield.algebra import clebsch_gordan, symmetric_basis, tables
from crossfield.algebra.make_tables import entries


def test_every_entry_is_what_is_evaluated():
    kept, evaluated = tables._tables(), entries()
    assert set(kept) == set(evaluated)
    assert len(kept) > 90
    for name, value in evaluated.items():
        assert kept[name].dtype == value.dtype
        np.testing.assert_allclose(kept[name], value, rtol=0, atol=1e-14, err_msg=name)


def test_what_is_not_kept_is_evaluated():
    assert tables.clebsch_gordan(5, 5, 2) is None
    assert clebsch_gordan(5, 5, 2).shape == (11, 11, 5)
    assert tables.symmetric_basis(1, 0, 4) is None
    assert symmetric_basis(1, 0, 4).size > 0


def test_the_published_size_needs_no_evaluation():
    """Building it does not even import the library that evaluates, which takes most of a second."""
    code = (
        "import sys\n"
        "from crossfield.model import Model, ModelConfig\n"
        "from crossfield.theory import Head, Theory\n"
        "Model(ModelConfig(elements=(1,), channels=2), [Head(name='a', theory=Theory(name='a'), E0={})])\n"
        "sys.exit('cuequivariance' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from crossfield.data.batch import GraphDataset
from crossfield.data.frame import Weights
from crossfield.data.statistics import rms_force
from crossfield.errors import InputError
from tests.data.frames import frame

FRAMES = [
    frame("OHH", energy=-3.0, forces=True, weights=Weights(2.0, 3.0, 0.5, 1.0)),
    frame("CO", forces=True, charge=1),
    frame("C", energy=-1.0, stress=0.5, weights=Weights(structure=4.0)),
]


def test_missing_labels_are_nan_with_weight_zero() -> None:
    labels = GraphDataset(FRAMES, [0, 1, 0], 4.0).batch([0, 1, 2]).labels
    assert labels.energy.isnan().tolist() == [False, True, False]
    assert labels.energy_weight.tolist() == [6.0, 0.0, 4.0]
    assert labels.forces_weight.tolist() == [1.0, 1.0, 0.0]
    assert labels.stress_weight.tolist() == [0.0, 0.0, 4.0]
    assert labels.forces.isnan().all(dim=1).tolist() == [False] * 5 + [True]
    assert labels.stress.isnan().all(dim=2).all(dim=1).tolist() == [True, True, False]
    assert all(getattr(labels, name).dtype == torch.float64 for name in vars(labels))


def test_batches_keep_the_order_asked_for() -> None:
    data = GraphDataset(FRAMES, [0, 1, 0], 4.0)
    batch = data.batch([2, 0])
    assert (len(data), data.heads) == (3, (0, 1, 0))
    assert batch.labels.energy.tolist() == [-1.0, -3.0]
    np.testing.assert_array_equal(batch.labels.forces[1:], FRAMES[0].forces)
    assert batch.graph.Z.tolist() == [6, 8, 1, 1]
    assert data.batch([1]).graph.head.tolist() == [1]
    assert data.batch([1]).graph.charge.tolist() == [1.0]
    assert batch.graph.num_structures == len(batch.labels.energy) == 2


def test_an_empty_batch_has_empty_labels() -> None:
    batch = GraphDataset(FRAMES, [0, 0, 0], 4.0).batch([]).to("cpu")
    assert batch.graph.num_structures == 0
    assert [tuple(t.shape) for t in (batch.labels.energy, batch.labels.forces, batch.labels.stress)] == [
        (0,),
        (0, 3),
        (0, 3, 3),
    ]


def test_labels_do_not_alias_the_frames() -> None:
    labels = GraphDataset(FRAMES, [0, 0, 0], 4.0).batch([0]).labels
    labels.forces.zero_()
    assert np.abs(FRAMES[0].forces).max() > 0


def test_structures_without_a_graph_name_their_frame() -> None:
    twice = replace(FRAMES[1], positions=np.zeros((2, 3)), index=7)
    with pytest.raises(InputError, match=r"made\.xyz, frame 7: .*same place"):
        GraphDataset([twice], [0], 4.0)
    with pytest.raises(InputError, match="3 frames need as many heads, not 1"):
        GraphDataset(FRAMES, [0], 4.0)


def test_rms_force_counts_components_that_exist() -> None:
    parts = np.concatenate([FRAMES[0].forces.ravel(), FRAMES[1].forces.ravel()])
    assert rms_force(FRAMES) == pytest.approx(np.sqrt(np.mean(parts**2)))
    with pytest.raises(InputError, match="no frame has forces"):
        rms_force([FRAMES[2]])
    with pytest.raises(InputError, match="all forces are zero"):
        rms_force([replace(FRAMES[1], forces=np.zeros((2, 3)))])

"""How good the demo's model is, as fractions of what there is to explain."""

from __future__ import annotations

from dataclasses import dataclass

from crossfield.train import TrainingResult


@dataclass(frozen=True)
class HeadFigures:
    """Test errors of one head."""

    head: str
    frames: int
    energy_mae: float  # eV/atom
    energy_fraction: float  # of the standard deviation of the head's energies per atom after E0
    forces_mae: float  # eV/Å, per component
    forces_fraction: float  # of the mean absolute force component


def head_figures(result: TrainingResult) -> list[HeadFigures]:
    """Figures of every head with test frames.

    The spread of energies is that of the training frames: the test holds too few systems to have one of its
    own. The mean force is that of the test frames.
    """
    figures = []
    for errors in result.metrics["test"].heads:
        baseline = result.baseline[errors.head]
        if errors.energy and errors.forces and baseline.forces:
            figures.append(
                HeadFigures(
                    head=errors.head,
                    frames=errors.frames,
                    energy_mae=errors.energy.mae,
                    energy_fraction=errors.energy.mae / result.spread[errors.head]["energy"],
                    forces_mae=errors.forces.mae,
                    forces_fraction=errors.forces.mae / baseline.forces.mae,
                )
            )
    return figures

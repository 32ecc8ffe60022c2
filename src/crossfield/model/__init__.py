"""The model: equations in `model.py`, one file for each of its parts."""

from crossfield.model.config import InputConfig, ModelConfig
from crossfield.model.derivatives import Prediction, evaluate, hessian
from crossfield.model.model import Model
from crossfield.model.results import EdgeForces, Result

__all__ = [
    "EdgeForces",
    "InputConfig",
    "Model",
    "ModelConfig",
    "Prediction",
    "Result",
    "evaluate",
    "hessian",
]

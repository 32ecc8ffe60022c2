"""The model: equations in `model.py`, one file for each of its parts."""

from crossfield.model.config import InputConfig, ModelConfig
from crossfield.model.derivatives import Prediction, assemble, evaluate, hessian
from crossfield.model.fingerprint import fingerprint
from crossfield.model.model import Model

__all__ = [
    "InputConfig",
    "Model",
    "ModelConfig",
    "Prediction",
    "assemble",
    "evaluate",
    "fingerprint",
    "hessian",
]

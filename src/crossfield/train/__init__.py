"""Training: all heads at once, from a configuration file to the best weights."""

from crossfield.train.config import Config
from crossfield.train.metrics import Metrics, baseline_metrics, evaluate_dataset
from crossfield.train.overrides import config_from_dict, load_config
from crossfield.train.run import TrainingResult, train
from crossfield.train.table import error_table

__all__ = [
    "Config",
    "Metrics",
    "TrainingResult",
    "baseline_metrics",
    "config_from_dict",
    "error_table",
    "evaluate_dataset",
    "load_config",
    "train",
]

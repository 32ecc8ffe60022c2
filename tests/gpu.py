"""Where kernels for GPUs are tested: on a GPU if there is one, otherwise by Triton's interpreter."""

import os

import torch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
# it is read when Triton is imported
os.environ.setdefault("TRITON_INTERPRET", "0" if DEVICE.type == "cuda" else "1")

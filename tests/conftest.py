"""Triton's interpreter, which runs kernels for GPUs on the CPU; it is chosen when Triton is imported."""

import os

os.environ.setdefault("TRITON_INTERPRET", "1")

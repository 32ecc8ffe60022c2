"""Evaluation of a frozen model by Triton kernels."""

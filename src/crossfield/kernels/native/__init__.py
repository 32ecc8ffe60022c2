"""Kernels for the CPU: written in Python, compiled by LLVM when a model is loaded."""

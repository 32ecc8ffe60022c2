"""Python that writes Triton code for the heavy operations: sizes, coefficients and paths are written out."""

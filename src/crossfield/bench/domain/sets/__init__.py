"""The benchmarks, a module each: inputs, calculation, analysis."""

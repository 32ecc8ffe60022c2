"""Numerical parity with mace-torch 0.3.16, the oracle.

`oracle/` runs in an environment that has mace-torch, evaluates every case with random weights in float64,
and writes weights, inputs and outputs to `.oracle/`. The tests run in our own environment, copy the weights,
and compare.
"""

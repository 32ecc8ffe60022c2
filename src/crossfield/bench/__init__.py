"""Measuring what a model costs.

Only `speed.py` needs the model, and `device.py` torch: with the other files, mace-torch is measured, too.
"""

"""Measuring what a model costs.

Only `speed.py` needs torch and the model: with the other files, mace-torch is measured, too.
"""

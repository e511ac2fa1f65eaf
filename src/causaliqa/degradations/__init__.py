"""Synthetic degradations: the distortion types of KADID-10k, calibrated, composable and deterministic.

One module a family holds pure functions of an image, a strength in physical units and a random generator;
:mod:`causaliqa.degradations.registry` knows them by name and by level.
"""

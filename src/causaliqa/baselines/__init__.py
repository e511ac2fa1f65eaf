"""Classical full-reference metrics: one module a metric, one registry, one stage.

Every metric is a function ``name(reference, distorted, *, data_range=255.0) -> float`` on arrays (H, W) or (H, W, 3)
of equal shape, integer or float. NumPy and SciPy only.
"""

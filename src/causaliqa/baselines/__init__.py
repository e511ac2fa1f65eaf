"""Full-reference metrics: one module a classical metric, `deep` for those on networks, one registry, one stage.

Every metric is a function ``name(reference, distorted, *, data_range=255.0) -> float`` on arrays (H, W) or (H, W, 3)
of equal shape, integer or float. Classical metrics use NumPy and SciPy only.
"""

"""Datasets: the registry, fetching, manifests, and stored sets of degraded images."""

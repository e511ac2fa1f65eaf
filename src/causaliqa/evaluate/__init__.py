"""Stage evaluate: from per-image scores to tidy tables with intervals.

``correlation`` holds agreement with opinions or their stand-in, ``opinion_free`` the tests that need none,
``intervals`` the cluster bootstrap over references, ``stage`` joins them. Definitions and sources: docs/evaluation.md.
"""

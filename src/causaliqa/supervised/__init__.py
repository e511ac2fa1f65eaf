"""Few-label and supervised scores: regressors on the degradation features."""

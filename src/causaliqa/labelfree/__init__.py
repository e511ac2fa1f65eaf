"""Label-free scores: projections of the degradation features, fitted on synthetic pairs without labels."""

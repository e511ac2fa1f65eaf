"""Causal disentanglement of content and degradation: model, interventions, training, features."""

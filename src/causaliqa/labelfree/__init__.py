"""Label-free scores: projections of the degradation features, fitted on synthetic pairs without labels."""

#: Prefix of the method names of our model.
PREFIX = "disentangle-"
#: Group of a projection that is a signed sum of its columns and no length, see
#: :class:`causaliqa.labelfree.projections.Projection`.
SIGNED = -1

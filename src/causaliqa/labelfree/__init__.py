"""Label-free scores: projections of the degradation features, fitted on synthetic pairs without labels."""

#: Group of a projection that is a signed sum of its columns and no length, see
#: :class:`causaliqa.labelfree.projections.Projection`.
SIGNED = -1

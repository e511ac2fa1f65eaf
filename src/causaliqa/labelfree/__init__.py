"""Label-free scores: projections of the degradation features, fitted on synthetic pairs without labels."""

#: Prefix of the method names of our model.
PREFIX = "disentangle-"
#: The label-free score that stands for a model, where one is asked for.
NORM = PREFIX + "norm"
#: Group of a projection that is a signed sum of its columns and no length, see
#: :class:`causaliqa.labelfree.projections.Projection`.
SIGNED = -1

"""Tables that say how far the disentanglement holds: their columns, and what is expected of them."""

#: Columns of ``numbers.csv`` and ``reconstruction.csv``.
NUMBER_COLUMNS = ["dataset", "reference", "distortion", "level", "intervention", "measure", "value", "baseline"]
#: What is probed: content E_c(y), degradation E_d(y), the masked degradation of y, and its difference from that of the
#: reference, from which scores are read.
SOURCES = ("content", "degradation", "masked", "pair")
#: What a disentangled code must (True) and must not (False) tell; the content's own identity shows that probes work.
EXPECTED = {
    "identity": {"content": True, "degradation": False, "masked": False, "pair": False},
    "type": {"content": False, "degradation": True, "masked": True, "pair": True},
    "severity": {"content": False, "degradation": True, "masked": True, "pair": True},
}
#: Columns of ``probes.csv``.
#:
#: target, source : what is read, from which code; keys of ``EXPECTED``
#: expected : ``succeed`` or ``fail``
#: measure : ``balanced accuracy``, or ``R2`` of the level
#: value, low, high : with the 95 % interval over references; no interval below three of them
#: chance : of a code that knows nothing
#: permuted, permuted_high : mean and largest of the same probe on permuted labels
#: untrained : the same probe on a network of this form that was never trained
#: n_images, n_references, n_types : what was probed
PROBE_COLUMNS = [
    "target", "source", "expected", "measure", "value", "low", "high", "chance", "permuted", "permuted_high",
    "untrained", "n_images", "n_references", "n_types",
]  # fmt: skip
#: Columns of ``variance.csv``: share of each code's variance that a component explains (``content``, ``recipe``,
#: ``interaction``), its 95 % interval over references, and the share in a network that was never trained.
VARIANCE_COLUMNS = ["source", "component", "share", "low", "high", "untrained", "n_references", "n_recipes"]
#: Columns of ``mask.csv``.
#:
#: dataset, reference : of the image
#: scale, channel : of the mask, from 0; -1, -1 is the mean over all
#: mean : over pixels
#: std_space : standard deviation over pixels; 0 if the mask is flat
#: std_images : root mean square difference from the average mask of images of this size; 0 if the image does not matter
#: contrast_srcc : Spearman's correlation over pixels with the local contrast at that scale; empty if one is constant
#: flat, edge, texture : mean over the pixels of each class
MASK_COLUMNS = [
    "dataset", "reference", "scale", "channel", "mean", "std_space", "std_images", "contrast_srcc",
    "flat", "edge", "texture",
]  # fmt: skip
#: Classes of pixels, by their codes from 0.
CLASSES = ("flat", "edge", "texture")

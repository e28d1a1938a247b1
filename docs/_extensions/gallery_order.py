"""The order of the examples: the main one first, own parts last, new ones in between."""

FIRST = [
    "plot_digits",
    "plot_learning_curves",
    "plot_receptive_fields",
    "plot_backpropagation",
    "plot_convolutions",
    "plot_search",
    "plot_features",
    "plot_few_labels",
    "plot_familiarity",
    "plot_outliers",
]
LAST = [
    "plot_per_layer",
    "plot_residual",
    "plot_own_goodness",
    "plot_own_negatives",
    "plot_own_objective",
    "plot_own_block",
]


def position(filename):
    """A key to sort files by."""
    name = filename.removesuffix(".py")
    for group, names in enumerate((FIRST, LAST)):
        if name in names:
            return 2 * group, names.index(name), name
    return 1, 0, name

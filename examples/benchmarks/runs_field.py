"""Runs of published methods, as many epochs as fit, and backpropagation on the same layers."""

from named_run import Run, with_backpropagation
from runs_ours import linear

from sklearn_ff import recipes

FASHION = "fashion_mnist"


def method(recipe, *args, published="", rule="goodness", data="mnist", epochs=0, **more):
    """A recipe by its name; `epochs` are the published ones, where `max_iter` is less."""

    def make(seed):
        return getattr(recipes, recipe)(*args, random_state=seed, **more)

    found = {rule: published} if published else {}
    return Run(make, (rule,), data=data, epochs=epochs, published=found)


def unlabelled(recipe, *args, published="", data="mnist", epochs=0, **more):
    """Features of a recipe without labels, and a linear classifier on them."""

    def make(seed):
        return linear(getattr(recipes, recipe)(*args, random_state=seed, **more))

    found = {"predict": published} if published else {}
    return Run(make, (), data=data, epochs=epochs, published=found, by="a linear classifier")


FIELD = with_backpropagation(
    {
        "mono_forward": method(
            "mono_forward", published="1.26 % (backpropagation 1.31 %)", rule="last"
        ),
        "mono_forward_fashion": method(
            "mono_forward", published="9.48 % (9.73 %)", rule="last", data=FASHION
        ),
        "mono_forward_conv": method(
            "mono_forward", True, published="0.42 % (0.48 %)", rule="last", epochs=20, max_iter=5
        ),
        "hff": method("hff"),
        "hff_conv": method("hff", True, image_shape=(1, 28, 28), epochs=20, max_iter=5),
        "local_loss": method(
            "local_loss", published="0.62 % (0.75 %)", rule="last", epochs=100, max_iter=20
        ),
        "local_loss_pred": method(
            "local_loss", "pred", published="0.68 % (0.75 %)", rule="last", epochs=100, max_iter=20
        ),
        "local_loss_fashion": method(
            "local_loss",
            published="8.54 % (8.37 %)",
            rule="last",
            data=FASHION,
            epochs=200,
            dropout=0.025,
            augmentation=["shifts", "flips"],
            max_iter=40,
        ),
        "symba": method("symba", published="1.42 %"),
        "swish": method("swish", published="1.65 %"),
        "swish_2000": method("swish", (2000, 2000), published="1.35 %", epochs=61, max_iter=10),
    }
)
UNLABELLED = {
    "hinton_unsupervised": unlabelled(
        "hinton_unsupervised", published="1.37 %", epochs=100, max_iter=16
    ),
    "hinton_local": unlabelled("hinton_local", published="1.16 %", epochs=60, max_iter=16),
}

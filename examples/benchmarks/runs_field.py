"""Runs of published methods, as many epochs as fit, and backpropagation on the same layers."""

from named_run import Run, with_backpropagation
from runs_ours import linear

from sklearn_ff import recipes

FASHION, PIXELS = "fashion_mnist", (1, 28, 28)


def method(recipe, *args, published="", rule="goodness", data="mnist", epochs=0, **more):
    """A recipe by its name; `epochs` are those it has itself, where `max_iter` is less."""

    def make(seed):
        return getattr(recipes, recipe)(*args, random_state=seed, **more)

    found = {rule: published} if published else {}
    return Run(make, (rule,), data=data, epochs=epochs, published=found)


def chosen_layers(recipe, *args, published="", epochs=0, **more):
    """A recipe that predicts by layers which the fit has chosen on rows it held out."""
    run = method(recipe, *args, published=published, rule="predict", epochs=epochs, **more)
    run.rules, run.by = (), "goodness of chosen layers"
    return run


def unlabelled(recipe, *args, published="", data="mnist", epochs=0, **more):
    """Features of a recipe without labels, and a linear classifier on them."""

    def make(seed):
        return linear(getattr(recipes, recipe)(*args, random_state=seed, **more))

    found = {"predict": published} if published else {}
    return Run(make, (), data=data, epochs=epochs, published=found, by="a linear classifier")


FIELD = with_backpropagation(
    {
        "mono_forward": method(
            "mono_forward", published="1.26 % (1.31 %), by others 1.85 to 1.88 %", rule="last"
        ),
        "mono_forward_fashion": method(
            "mono_forward",
            published="9.48 % (9.73 %), by others 10.3 % (10.9 %)",
            rule="last",
            data=FASHION,
        ),
        "mono_forward_conv": method("mono_forward", True, published="0.42 % (0.48 %)", rule="last"),
        "hff": method("hff"),
        "hff_conv": method("hff", True, image_shape=PIXELS),
        "cwcomp": method("cwcomp", published="0.58 %", rule="last"),
        "deeper_forward": chosen_layers(
            "deeper_forward",
            False,
            image_shape=PIXELS,
            n_channels=(40, 80, 160, 160),
            epochs=150,
            max_iter=4,
            published="0.50 % (0.42 % by a ResNet-18)",
        ),
        "asge": method("asge", published="0.35 %"),
        "local_loss": method(
            "local_loss", published="0.62 % (0.75 %)", rule="last", epochs=100, max_iter=20
        ),
        "local_loss_pred": method("local_loss", "pred", published="0.68 % (0.75 %)", rule="last"),
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
        "layer_collaboration": method(
            "layer_collaboration", published="2.1 % (1.5 to 2.0 %)", epochs=60, max_iter=25
        ),
        "hinton_jitter": method("hinton_jitter", published="0.64 %", epochs=500, max_iter=16),
        "rmwkwok_routed_500": method(
            "rmwkwok_routed",
            500,
            published="2.9 % (2,000 units)",
            rule="head",
            epochs=200,
            max_iter=60,
        ),
        "scodellaro": method(
            "scodellaro",
            16,
            kernel_size=5,
            published="0.84 %",
            epochs=200,
            learning_rate_init=5e-3,
            batch_size=128,
            max_iter=20,
        ),
        "trifecta": method(
            "trifecta", (16, 16, 32, 32, 32, 64), published="0.42 %", epochs=100, max_iter=30
        ),
        "swish_2000": method("swish", (2000, 2000), published="1.35 %", epochs=61, max_iter=10),
    }
)
# At full length, which takes a GPU.
FULL = with_backpropagation(
    {
        "hinton_jitter_full": method("hinton_jitter", published="0.64 %"),
        "scodellaro_full": method("scodellaro", published="0.84 %"),
        "trifecta_full": method("trifecta", published="0.42 %"),
        "deeper_forward_full": chosen_layers(
            "deeper_forward", image_shape=PIXELS, published="0.37 % (0.42 % by a ResNet-18)"
        ),
        "local_loss_full": method("local_loss", published="0.62 % (0.75 %)", rule="last"),
        "local_loss_vgg8b": method(
            "local_loss", convolutional=True, published="0.31 % (0.26 %)", rule="last"
        ),
    }
)
UNLABELLED = {
    "scff": unlabelled("scff", published="1.30 %"),
    "hinton_unsupervised": unlabelled(
        "hinton_unsupervised", published="1.37 %", epochs=100, max_iter=16
    ),
    "hinton_local": unlabelled("hinton_local", published="1.16 %", epochs=60, max_iter=16),
}

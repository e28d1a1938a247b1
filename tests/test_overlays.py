"""Labels shown at the cost of one product per row: against explicit rows in NumPy."""

import numpy as np
import pytest
import torch
from planned import label_scores, planned

from sklearn_ff import FFClassifier
from sklearn_ff.core.forward_forward import step
from sklearn_ff.layers import Conv2d
from sklearn_ff.overlays import (
    Add,
    Append,
    Channel,
    EveryLayer,
    Overlay,
    Replace,
    Spatial,
    overlays,
)

D, K, ROWS, S = 8, 3, 5, 1.7
LABELS = np.array([[0, 1, 2, K], [2, 0, K, 1], [1, K, 0, 2], [K, 2, 1, 0], [0, 0, 2, K]])
EPS = 1e-10
NORMALIZE = {
    None: lambda r: r,
    "rms": lambda r: r / np.sqrt((r**2).mean(-1, keepdims=True) + EPS),
    "unit": lambda r: r / np.sqrt((r**2).sum(-1, keepdims=True) + EPS),
    "layer_norm": lambda r: (
        (r - r.mean(-1, keepdims=True)) / np.sqrt(r.var(-1, keepdims=True) + EPS)
    ),
}


IN_FEATURES = ("add", "spatial")  # overlays whose code lies in the space of the features


def network(overlay, negatives="all", n_features=D, n_classes=K, **params):
    if "layers" not in params:
        params["hidden_layer_sizes"] = (6, 4)
    est = FFClassifier(
        overlay=overlay,
        negatives=negatives,
        precision="float64",
        scaling=None,
        device="cpu",
        random_state=0,
        image_shape=(1, 2, n_features // 2),
        **params,
    )
    return planned(est, np.random.default_rng(0).normal(size=(100, n_features)), n_classes)


def one_hot(labels):
    """Codes of labels; that of the neutral label K is their mean."""
    return np.vstack([np.eye(K), np.full(K, 1 / K)])[labels]


def features(rows=ROWS, seed=1):
    return np.random.default_rng(seed).normal(0.2, 1, size=(rows, D))


def encoded(net, x, labels=LABELS):
    """W·encode(x, labels), as the package computes it."""
    layer = net.layers[0]
    return net.encoder(torch.tensor(x), layer)(torch.tensor(labels)).detach().numpy()


def weights(net):
    layer = net.layers[0]
    U = None if layer.label is None else layer.label.weight.detach().numpy()
    return layer.affine.weight.detach().numpy(), U


def explicit(rows, W):
    return np.einsum("rcj,uj->rcu", rows, W)


def beside(x, normalization, labels=LABELS):
    """Rows and label side by side; only the features count in the mean and in the width."""
    x = np.broadcast_to(x[:, None], (*labels.shape, x.shape[1]))
    if normalization == "layer_norm":
        x = x - x.mean(-1, keepdims=True)
    rows = np.concatenate([x, S * one_hot(labels)], axis=-1)
    width = {None: None, "unit": 1}.get(normalization, x.shape[-1])
    if width is None:
        return rows
    return rows / np.sqrt((rows**2).sum(-1, keepdims=True) / width + EPS)


@pytest.mark.parametrize("overlay", [Append(strength=S), EveryLayer(strength=S)])
@pytest.mark.parametrize("normalization", sorted(NORMALIZE, key=str))
def test_columns_beside_the_features_match_reference(overlay, normalization):
    net, _, _ = network(overlay, input_normalization=normalization)
    x, (W, U) = features(), weights(net)
    expected = explicit(beside(x, normalization), np.hstack([W, U.T]))
    np.testing.assert_allclose(encoded(net, x), expected, rtol=1e-12, atol=1e-12)


PLACES = {"first": [0, 1, 2], "last": [5, 6, 7], "indices": [5, 0, 2]}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "normalization", [n for n in sorted(NORMALIZE, key=str) if n != "layer_norm"]
)
def test_replace_matches_reference(place, normalization):
    columns = PLACES[place]
    given = columns if place == "indices" else place
    net, _, _ = network(Replace(given, strength=S), input_normalization=normalization)
    x, (W, U) = features(), weights(net)
    rows = np.repeat(x[:, None], LABELS.shape[1], axis=1)
    rows[..., columns] = S * one_hot(LABELS)
    W = W.copy()
    W[:, columns] = U.T
    expected = explicit(NORMALIZE[normalization](rows), W)
    np.testing.assert_allclose(encoded(net, x), expected, rtol=1e-12, atol=1e-12)


MATRIX = np.random.default_rng(4).normal(size=(K, D))


@pytest.mark.parametrize("matrix", [None, MATRIX, MATRIX.tolist(), lambda d, k: MATRIX])
@pytest.mark.parametrize("normalization", sorted(NORMALIZE, key=str))
def test_add_matches_reference(matrix, normalization):
    j, c = np.arange(D), np.arange(K)[:, None]
    code = np.sqrt(2) * np.cos(np.pi * (c + 1) * (j + 0.5) / D) if matrix is None else MATRIX
    net, _, _ = network(Add(matrix, strength=S), input_normalization=normalization)
    x, (W, U) = features(), weights(net)
    assert U is None
    rows = x[:, None] + S * (one_hot(LABELS) @ code)
    expected = explicit(NORMALIZE[normalization](rows), W)
    np.testing.assert_allclose(encoded(net, x), expected, rtol=1e-12, atol=1e-12)


def test_spatial_is_a_wave_whose_direction_is_the_class():
    code = Spatial(wavelength=4.0).for_images((2, 9, 11)).code(198, 6).reshape(6, 2, 9, 11)
    y, x = np.mgrid[:9, :11]
    for c in range(6):
        turn = np.pi * c / 6
        along = np.cos(turn) * (x - 5) + np.sin(turn) * (y - 4)
        expected = np.sqrt(2) * np.cos(2 * np.pi * along / 4)
        np.testing.assert_allclose(code[c], [expected, expected], atol=1e-12)


@pytest.mark.parametrize("learned", [False, True])
def test_channel_is_a_plane_of_weights_per_class(learned):
    kinds = [Conv2d(4, norm=None)]
    net, _, _ = network(Channel(learned, strength=S), layers=kinds)
    x, layer = features(), net.layers[0]
    U = layer.label.weight.detach().numpy()
    assert U.shape == (K, 4 * D if learned else 4)
    plane = U if learned else np.tile(U, D)
    alone = layer.affine(torch.tensor(x)).detach().numpy()
    expected = alone[:, None] + S * (one_hot(LABELS) @ plane)
    np.testing.assert_allclose(encoded(net, x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("overlay", ["append", "replace"])
def test_a_label_in_a_corner_of_an_image_is_refused(overlay):
    with pytest.raises(ValueError, match=r"most receptive fields.*overlay='channel' or 'spatial'"):
        network(overlay, layers=[Conv2d(4)])


def test_spatial_has_several_wavelengths_in_turn():
    def code(wavelength, n_classes):
        return Spatial(wavelength=wavelength).for_images((1, 9, 11)).code(99, n_classes)

    mixed = code([4.0, 8.0], 6)
    for start, wavelength in enumerate((4.0, 8.0)):
        assert torch.equal(mixed[start::2], code(wavelength, 3))
    assert torch.equal(code([4.0], 3), code(4.0, 3))


@pytest.mark.parametrize("wavelength", [[], [4.0, 0.0], [True], ["4"], [4.0, np.inf]], ids=repr)
def test_wavelengths_that_are_none_are_refused(wavelength):
    with pytest.raises(ValueError, match=r"wavelength must be a number, or a list of numbers"):
        Spatial(wavelength=wavelength).check()


def test_spatial_reads_rows_as_the_estimator_does():
    with pytest.raises(ValueError, match="give the shape once"):
        network(Spatial(image_shape=(1, 8, 1)))
    with pytest.raises(ValueError, match="no shape of an image"):
        network(Spatial(image_shape=(7, 1)))


def test_spatial_needs_the_shape_of_an_image():
    with pytest.raises(ValueError, match=r"overlay='spatial' .* set image_shape"):
        FFClassifier(overlay="spatial").fit(np.eye(4), [0, 1, 0, 1])


def test_add_has_orthogonal_codes():
    code = Add().code(20, 5)
    np.testing.assert_allclose(code @ code.T / 20, np.eye(5), atol=1e-12)


@pytest.mark.parametrize("name", overlays.names)
def test_no_label_is_the_product_alone(name):
    net, _, _ = network(name)
    x, (W, _) = features(), weights(net)
    base = net.encoder.overlay.base(torch.tensor(x), K).numpy()
    out = net.encoder(torch.tensor(x), net.layers[0])(None).detach()
    np.testing.assert_allclose(out, (base @ W.T)[:, None], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", overlays.names)
def test_rows_are_not_changed(name):
    net, _, _ = network(name)
    x = torch.tensor(features())
    before = x.clone()
    net.encoder(x, net.layers[0])(torch.tensor(LABELS))
    assert torch.equal(x, before)


def count_rows(net):
    seen, affine = [], net.layers[0].affine
    product = affine.product

    def counting(z, bias=None):
        seen.append(z.shape[:-1].numel())
        return product(z, bias)

    affine.product = counting
    return seen


@pytest.mark.parametrize("negatives", ["all", "hard", "uniform"])
@pytest.mark.parametrize("normalization", [None, "rms"])
@pytest.mark.parametrize("name", overlays.names)
def test_a_step_computes_the_large_product_once_per_row(name, normalization, negatives):
    params = {"prediction": "hybrid", "input_normalization": normalization}
    net, draws, plan = network(name, negatives, **params)
    seen = count_rows(net)
    rows = 40
    x, y = torch.tensor(features(rows)), torch.arange(rows) % K
    weight = torch.full((rows,), 1 / rows).double()
    step(net, plan.negatives, x, y, weight, lambda module: None, draws)
    codes = [K + 1] if name in IN_FEATURES else []  # a small product, once a batch
    assert sorted(seen) == sorted([rows, *codes])


@pytest.mark.parametrize("prediction", ["goodness", "head", "hybrid"])
@pytest.mark.parametrize("name", overlays.names)
def test_prediction_computes_the_large_product_once_per_row(name, prediction):
    net, _, plan = network(name, prediction=prediction)
    seen = count_rows(net)
    scores = label_scores(net, torch.tensor(features(40)), prediction, plan.counted, 2)
    assert scores.shape == (40, K)
    assert sorted(seen) == sorted([40, *([K + 1] if name in IN_FEATURES else [])])


@pytest.mark.fault("C4")
@pytest.mark.parametrize("features", ["first", "last"])
def test_replace_with_more_classes_than_features_is_refused(features):
    with pytest.raises(ValueError, match="X has 4 features for 5 classes; use overlay='append'"):
        Replace(features).check_room(4, 5)
    with pytest.raises(ValueError, match="use overlay='append'"):
        network(Replace(features), n_features=4, n_classes=5)
    with pytest.raises(ValueError, match="use overlay='append'"):
        FFClassifier(overlay=Replace(features)).fit(np.eye(5)[:, :4], np.arange(5))
    Replace(features).check_room(5, 5)


@pytest.mark.fault("C4")
@pytest.mark.parametrize(
    "indices",
    [[0, 1], [0, 1, 1], [0, 1, 8], [0, 1, -1], [0, 1, 2, 3], 3, [0.0, 1.0, 2.0], [[0], [1], [2]]],
)
def test_replace_with_unfit_indices_is_refused(indices):
    with pytest.raises(ValueError, match="3 different column indices below 8"):
        Replace(indices).check_room(D, K)


@pytest.mark.fault("C4")
def test_replace_with_an_unknown_place_is_refused():
    with pytest.raises(ValueError, match=r"'middle'.*'first', 'last' or column indices"):
        Replace("middle").check_room(D, K)


@pytest.mark.fault("C4")
def test_a_code_of_the_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"shape \(8, 3\).*\(n_classes, n_features\)"):
        Add(MATRIX.T).check_room(D, K)


def test_the_base_shows_nothing():
    overlay = Overlay()
    x = torch.tensor(features())
    assert overlay.base(x, K) is x
    assert overlay.code(D, K) is None
    overlay.check_room(1, 10)


def test_strength_of_the_largest_value():
    X = np.abs(np.random.default_rng(0).normal(size=(40, 12)))
    for rows, expected in ((X, X.max()), (-X, np.sqrt((X**2).mean()))):
        clf = FFClassifier(8, overlay=Replace(strength="max"), scaling=None, max_iter=1)
        clf.fit(rows, np.arange(40) % 3)
        np.testing.assert_allclose(clf.label_strength_, expected)


@pytest.mark.parametrize("name", ["append", "replace", "every_layer", "add"])
def test_automatic_strength_is_the_scale_of_the_rows(name):
    _, _, plan = network(name)
    X = np.random.default_rng(0).normal(size=(100, D))
    np.testing.assert_allclose(plan.strength, np.sqrt((X**2).mean()), rtol=1e-12)


def test_a_callable_is_a_code_matrix_and_a_centred_input_cannot_be_overwritten():
    x, y = np.random.default_rng(0).random((30, 6)), np.arange(30) % 3
    fitted = FFClassifier(overlay=lambda d, k: np.eye(k, d), max_iter=2).fit(x, y)
    assert isinstance(fitted.overlay_, Add)
    with pytest.raises(ValueError, match="overwritten"):
        FFClassifier(overlay="replace", input_normalization="layer_norm").fit(x, y)


@pytest.mark.parametrize("overlay", [Add(np.ones((K, D))), Add(lambda d, k: torch.zeros(k, d))])
def test_codes_that_are_alike_are_refused(overlay):
    with pytest.raises(ValueError, match="shows 3 classes by 1 different codes"):
        network(overlay)


def test_waves_that_are_alike_are_refused():
    X, y = features(20)[:, :4], np.arange(20) % 2
    with pytest.raises(ValueError, match="shows 2 classes by 1 different codes"):
        FFClassifier(overlay="spatial", image_shape=(1, 2, 2)).fit(X, y)

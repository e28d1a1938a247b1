"""Normalisations, activations, dropout and peers against NumPy."""

import numpy as np
import pytest
import torch
from scipy.special import erf
from sklearn.datasets import load_digits

from sklearn_ff import FFClassifier
from sklearn_ff._draws import Draws
from sklearn_ff.activations import activations
from sklearn_ff.core.build import dropped
from sklearn_ff.core.peers import Peers
from sklearn_ff.layers import Conv2d, Dense, LocallyConnected2d
from sklearn_ff.normalizations import BatchNorm, ChannelNorm, normalizations

EPS = 1e-10
NORMALIZATIONS = {
    "rms": lambda z: z / np.sqrt((z**2).mean(-1, keepdims=True) + EPS),
    "unit": lambda z: z / np.sqrt((z**2).sum(-1, keepdims=True) + EPS),
    "layer_norm": lambda z: (
        (z - z.mean(-1, keepdims=True)) / np.sqrt(z.var(-1, keepdims=True) + EPS)
    ),
    "channel_norm": lambda z: NORMALIZATIONS["layer_norm"](z),  # of a dense layer
    None: lambda z: z,
}
OF_ROWS = [name for name in normalizations.names if not normalizations.get(name).local]
ACTIVATIONS = {
    "relu": lambda a: np.maximum(a, 0),
    "leaky_relu": lambda a: np.where(a > 0, a, 0.01 * a),
    "gelu": lambda a: a * (1 + erf(a / np.sqrt(2))) / 2,
    "tanh": np.tanh,
    "identity": lambda a: a,
}


@pytest.mark.parametrize("name", normalizations.names)
@pytest.mark.parametrize("shape", [(5, 7), (4, 3, 20)])
def test_normalization_matches_reference(name, shape):
    z = np.random.default_rng(0).normal(0.3, 2, size=shape)
    out = normalizations.get(name).build(shape[-1:])(torch.tensor(z))
    np.testing.assert_allclose(out, NORMALIZATIONS[name](z), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", OF_ROWS)
def test_normalization_is_centre_times_factor(name):
    z = np.random.default_rng(1).normal(size=(6, 9))
    part = normalizations.get(name)
    centred = part.center(torch.tensor(z))
    factor = part.factor(centred.square().mean(-1, keepdim=True), 9)
    np.testing.assert_allclose(centred * factor, NORMALIZATIONS[name](z), rtol=1e-12, atol=1e-12)
    assert part.identity == (name is None)


@pytest.mark.fault("D3")
@pytest.mark.parametrize("name", normalizations.names)
def test_a_dead_layer_stays_at_zero_with_a_finite_gradient(name):
    z = torch.zeros(2, 5, requires_grad=True)
    out = normalizations.get(name)(z)
    out.sum().backward()
    assert not out.any()
    assert z.grad.isfinite().all()


@pytest.mark.fault("D3")
@pytest.mark.parametrize("name", normalizations.names)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_normalization_is_finite_at_any_scale(name, scale):
    z = (scale * torch.randn(4, 8, generator=torch.Generator().manual_seed(0))).requires_grad_()
    normalizations.get(name)(z).square().sum().backward()
    assert z.grad.isfinite().all()


@pytest.mark.fault("D1")
@pytest.mark.parametrize("name", normalizations.names)
def test_normalization_gradient_agrees_with_differences(name):
    z = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(normalizations.get(name), z.requires_grad_())


@pytest.mark.parametrize("name", activations.names)
def test_activation_matches_reference(name):
    a = np.random.default_rng(2).normal(size=(5, 2, 7))
    out = activations.get(name)(torch.tensor(a))
    np.testing.assert_allclose(out, ACTIVATIONS[name](a), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("given", [torch.nn.Softplus(), torch.sin])
def test_any_callable_is_an_activation(given):
    a = torch.linspace(-1, 1, 5)
    torch.testing.assert_close(activations.get(given)(a), given(a))


def test_dropped_matches_reference():
    h = torch.rand(50, 3, 40, generator=torch.Generator().manual_seed(0)) + 0.1
    u = Draws(torch.Generator().manual_seed(1), "cpu").uniform(50, 1, 40)
    out = dropped(h, 0.3, Draws(torch.Generator().manual_seed(1), "cpu"))
    torch.testing.assert_close(out, torch.where(u >= 0.3, h / 0.7, 0.0))
    assert abs((out == 0).double().mean() - 0.3) < 0.05
    assert dropped(h, 0.3, None) is h
    assert dropped(h, 0.0, Draws(torch.Generator(), "cpu")) is h


def test_peers_match_reference():
    rng = np.random.default_rng(4)
    peers, mean = Peers(5, rate=0.3).double(), np.full(5, 0.5)
    for size in (6, 2, 3):  # rows of a part
        a = rng.normal(size=(6, 2, 5))
        h = np.maximum(a, 0)
        w = rng.uniform(size=6)
        pull = 0.3 * (mean - mean.mean())
        mean = 0.9 * mean + 0.1 * np.average(h[:, 0], axis=0, weights=w)
        t = torch.tensor(a, requires_grad=True)
        parts = zip(t.split(size), torch.tensor(w).split(size), strict=True)
        penalty = sum(peers(part, part.relu(), weight) for part, weight in parts)
        penalty.backward()
        peers.end_batch()
        np.testing.assert_allclose(peers.mean, mean, rtol=1e-12)
        np.testing.assert_allclose(penalty.item(), pull @ (w @ a[:, 0]), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(t.grad[:, 0], np.outer(w, pull), rtol=1e-12, atol=1e-12)
        assert not t.grad[:, 1].any(), "negative labels have no say"
    peers.end_batch()
    np.testing.assert_allclose(peers.mean, mean, rtol=1e-12, err_msg="no rows, no change")
    assert Peers(5, rate=0.0)(t, t, None) == 0


def test_peers_revive_a_dead_unit():
    a = torch.full((4, 1, 3), -1.0)
    a[..., 1:] = 1
    a.requires_grad_()
    peers, weight = Peers(3, rate=1.0), torch.full((4,), 0.25)
    peers(a, a.relu(), weight)
    peers.end_batch()
    peers(a, a.relu(), weight).backward()
    assert (a.grad[..., 0] < 0).all()
    assert (a.grad[..., 1:] > 0).all()


def test_peers_without_shared_weights_are_the_channels_of_a_pixel():
    rng = np.random.default_rng(5)
    peers, mean = Peers(12, rate=0.3, n_peers=3).double(), np.full(12, 0.5)
    for _ in range(2):
        a, w = rng.normal(size=(6, 2, 12)), rng.uniform(size=6)
        t = torch.tensor(a, requires_grad=True)
        peers(t, t.relu(), torch.tensor(w)).backward()
        peers.end_batch()
        places = mean.reshape(4, 3)  # pixel by pixel
        pull = 0.3 * (places - places.mean(1, keepdims=True)).ravel()
        np.testing.assert_allclose(t.grad[:, 0], np.outer(w, pull), rtol=1e-12, atol=1e-12)
        mean = 0.9 * mean + 0.1 * np.average(np.maximum(a[:, 0], 0), axis=0, weights=w)


@pytest.mark.parametrize("layers", [[LocallyConnected2d(4)], [LocallyConnected2d(4), Dense(9)]])
def test_peer_normalization_keeps_channels_of_a_pixel_about_equal(layers):
    X, y = load_digits(return_X_y=True)
    X, y = X[:300], y[:300]
    params = {"layers": layers, "image_shape": (1, 8, 8), "overlay": "channel", "max_iter": 5}

    def spread(rate):
        clf = FFClassifier(peer_normalization=rate, random_state=0, **params).fit(X, y)
        h = clf.net_.module_
        scores = clf.transform(X)[:, :256].mean(0).reshape(64, 4)
        assert h.layers[0].peers.n_peers == 4
        return scores.std(1).mean()

    assert spread(1.0) < 0.8 * spread(0.0)


@pytest.mark.parametrize("centered", [True, False])
def test_channel_norm_acts_on_the_channels_of_every_pixel(centered):
    z = np.random.default_rng(6).normal(1, 2, size=(5, 2, 4 * 3))  # 4 pixels of 3 channels
    out = ChannelNorm(centered).build((3, 2, 2))(torch.tensor(z)).reshape(5, 2, 4, 3).numpy()
    pixels = z.reshape(5, 2, 4, 3)
    pixels = pixels - pixels.mean(-1, keepdims=True) if centered else pixels
    expected = pixels / np.sqrt((pixels**2).mean(-1, keepdims=True) + EPS)
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12)


def test_channel_norm_serves_layers_of_different_width():
    X, y = load_digits(return_X_y=True)
    layers = [Conv2d(6, pool="max"), Conv2d(10), 20]
    params = {"layers": layers, "image_shape": (1, 8, 8), "goodness": "readout", "max_iter": 5}
    clf = FFClassifier(normalization="channel_norm", random_state=0, **params).fit(X, y)
    assert clf.score(X, y) > 0.8
    first = clf.transform(X[:3])[:, : 16 * 6].reshape(3, 16, 6)
    np.testing.assert_allclose(first.mean(-1), 0, atol=1e-5)


def test_channel_norm_of_the_input_is_refused():
    with pytest.raises(ValueError, match="no channels to act on; use 'rms'"):
        FFClassifier(8, input_normalization="channel_norm").fit(np.eye(4), [0, 1, 0, 1])


def test_batch_norm_is_of_positive_candidates_and_of_averages_in_prediction():
    z = np.random.default_rng(7).normal(1, 2, size=(5, 2, 4 * 3))  # 4 pixels of 3 channels
    norm, pixels = BatchNorm().build((3, 2, 2)).double(), z.reshape(5, 2, 4, 3)
    out = norm(torch.tensor(z)).reshape(5, 2, 4, 3).numpy()
    positive = pixels[:, 0].reshape(-1, 3)
    mean, var = positive.mean(0), positive.var(0)
    np.testing.assert_allclose(out, (pixels - mean) / np.sqrt(var + 1e-5), rtol=1e-10)
    with torch.no_grad():  # as the head sees it
        looked = norm(torch.tensor(z)).reshape(5, 2, 4, 3).numpy()
    var = 0.9 + 0.1 * positive.var(0, ddof=1)
    np.testing.assert_allclose(looked, (pixels - 0.1 * mean) / np.sqrt(var + 1e-5), rtol=1e-10)
    assert torch.equal(norm.eval()(torch.tensor(z)).detach(), torch.tensor(looked).view(5, 2, 12))


def test_a_network_with_batch_norm_learns_and_scores_each_row_alone():
    X, y = load_digits(return_X_y=True)
    params = {"layers": [Conv2d(6, pool="max"), 20], "image_shape": (1, 8, 8), "max_iter": 10}
    params |= {"normalization": BatchNorm(), "goodness": "readout", "random_state": 0}
    clf = FFClassifier(**params).fit(X[:500], y[:500])
    assert clf.score(X[:500], y[:500]) > 0.8
    alone, beside = clf.decision_function(X[:1]), clf.decision_function(X[:50])[:1]
    np.testing.assert_allclose(alone, beside, rtol=1e-4, atol=1e-4)
    z = clf.transform(X[:500])[:, : 16 * 6].reshape(-1, 6)
    np.testing.assert_allclose([z.mean(), z.std()], [0, 1], atol=0.2)
    with pytest.raises(ValueError, match="but a batch holds 1 sample; give batch_size=2 or more"):
        FFClassifier(**params, batch_size=1).fit(X[:500], y[:500])
    with pytest.raises(ValueError, match="no channels to act on"):
        FFClassifier(8, input_normalization=BatchNorm()).fit(X, y)

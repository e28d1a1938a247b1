"""Every goodness against NumPy, and its gradient through every normalisation and objective."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris

from sklearn_ff import FFClassifier
from sklearn_ff.goodness import ClassGroups, Goodness, Prototypes, Readout, TopK, goodness
from sklearn_ff.normalizations import normalizations
from sklearn_ff.objectives import LayerFacts, objectives

K = 3
REFERENCES = {
    "mean_square": lambda h: (h**2).sum(-1) / h.shape[-1],
    "neg_mean_square": lambda h: -(h**2).sum(-1) / h.shape[-1],
    "sum_square": lambda h: np.einsum("...j,...j->...", h, h),
    "mean_activation": lambda h: h.sum(-1) / h.shape[-1],
    "top_k": lambda h: np.sort(h**2, axis=-1)[..., -20:].mean(-1),
}


LAYER = LayerFacts(0, 4, 10.0, shape=(4,), n_classes=3)


@pytest.mark.parametrize("name", sorted(REFERENCES))
@pytest.mark.parametrize("shape", [(5, 7), (6, 3, 40)])
def test_goodness_matches_reference(name, shape):
    h = np.random.default_rng(0).normal(size=shape)
    part = goodness.get(name)
    assert not part.scores_classes
    g = part.build(shape[-1], K)(torch.tensor(h))
    assert g.shape == shape[:-1]
    np.testing.assert_allclose(g, REFERENCES[name](h), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["mean_square", "neg_mean_square", "sum_square"])
def test_a_stated_gradient_is_that_of_the_score(name):
    part, h = goodness.get(name), torch.randn(5, 3, 7, dtype=torch.float64, requires_grad=True)
    slopes = torch.randn(5, 3, dtype=torch.float64)
    (expected,) = torch.autograd.grad(part.score(h), h, slopes)
    torch.testing.assert_close(part.gradient(h.detach(), slopes), expected)


@pytest.mark.parametrize("k, n_units", [(1, 5), (3, 5), (5, 5), (9, 5)])
def test_top_k_is_capped_at_the_width(k, n_units):
    h = np.random.default_rng(1).normal(size=(4, 2, n_units))
    expected = np.sort(h**2, axis=-1)[..., ::-1][..., :k].mean(-1)
    np.testing.assert_allclose(TopK(k=k).score(torch.tensor(h)), expected, rtol=1e-12)


@pytest.mark.parametrize("seen", [6, 4])
def test_readout_matches_reference(seen):
    rng = np.random.default_rng(2)
    h, v, b = rng.normal(size=(5, 1, seen)), rng.normal(size=(K, 6)), rng.normal(size=K)
    part = goodness.get("readout")
    assert part.scores_classes
    module = part.build(6, K).double()
    assert not module.weight.any() and not module.bias.any(), "it starts at zero"
    module.load_state_dict({"weight": torch.tensor(v), "bias": torch.tensor(b)})
    expected = np.einsum("ricj,cj->ric", h[:, :, None], v[:, :seen]) + b
    np.testing.assert_allclose(module(torch.tensor(h)).detach(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("normalized", [False, True])
def test_a_fixed_readout_is_drawn_once_and_not_trained(normalized):
    part = Readout(normalized=normalized, learned=False)
    module = part.build(6, K)
    module.reset(torch.Generator().manual_seed(0))
    assert module.weight.abs().min() > 0 and not list(module.parameters())
    h, v = np.random.default_rng(3).normal(size=(5, 1, 6)), module.weight.numpy()
    h_read = h / np.sqrt((h**2).mean(-1, keepdims=True)) if normalized else h
    g = module.double()(torch.tensor(h))
    np.testing.assert_allclose(g, h_read @ v.T, rtol=1e-5)


@pytest.mark.parametrize("of", ["square", "activation"])
@pytest.mark.parametrize("n_units", [K, 7, 12])
def test_class_groups_average_every_unit_in_one_group(n_units, of):
    h = np.random.default_rng(4).normal(size=(5, 1, n_units))
    g = ClassGroups(of=of).build(n_units, K)(torch.tensor(h, dtype=torch.float32))
    group = np.arange(n_units) * K // n_units
    of_units = h**2 if of == "square" else h
    expected = np.stack([of_units[..., group == c].mean(-1) for c in range(K)], -1)
    np.testing.assert_allclose(g, expected, rtol=1e-5, atol=1e-6)
    assert np.ptp(np.bincount(group, minlength=K)) <= 1


def test_class_groups_need_a_unit_per_class():
    with pytest.raises(ValueError, match=r"one unit per class.*wider layers"):
        ClassGroups().build(K - 1, K)


def test_prototypes_are_cosines_times_the_scale():
    module = Prototypes(scale=7.0).build(6, K).double()
    module.reset(torch.Generator().manual_seed(0))
    h, p = np.random.default_rng(5).normal(size=(5, 1, 6)), module.weight.detach().numpy()
    cosines = np.einsum("ruj,cj->ruc", h, p)
    cosines /= np.linalg.norm(h, axis=-1)[..., None] * np.linalg.norm(p, axis=-1)
    np.testing.assert_allclose(module(torch.tensor(h)).detach(), 7 * cosines, rtol=1e-9)
    assert torch.isfinite(module(torch.zeros(1, 1, 6, dtype=torch.float64))).all()


def test_a_callable_is_a_goodness():
    part = goodness.get(lambda h: h.abs().amax(-1))
    h = torch.tensor([[[1.0, -3.0], [2.0, 0.0]]])
    assert part.build(2, K)(h).tolist() == [[3.0, 2.0]]
    assert not part.scores_classes


@pytest.mark.fault("D1")
@pytest.mark.parametrize("normalization", normalizations.names)
@pytest.mark.parametrize("objective", objectives.names)
@pytest.mark.parametrize("name", goodness.names)
def test_gradients_agree_with_differences(name, objective, normalization):
    torch.manual_seed(3)
    part = TopK(k=2) if name == "top_k" else goodness.get(name)
    scorer = part.build(LAYER.n_units, K)
    norm = normalizations.get(normalization).build((LAYER.n_units,))
    built = objectives.get(objective).build(LAYER)
    if isinstance(built, torch.nn.Module):
        built.reset(torch.Generator().manual_seed(0))
        built.double()
    candidates = 1 if part.scores_classes else K
    weights = []
    if part.scores_classes:
        scorer = scorer.double()
        weights = list(scorer.parameters())
        for weight in weights:
            torch.nn.init.normal_(weight)
    z = torch.randn(2, candidates, LAYER.n_units, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([[1, 0, 2], [0, 2, 1]])

    def losses(z, *weights):
        g = scorer(norm(z))
        g = g.squeeze(1).gather(1, labels) if part.scores_classes else g
        known = LAYER.beside(z, torch.tensor([0, 1]), 0.5, [])
        return built.loss(g, known)

    assert torch.autograd.gradcheck(losses, (z, *weights))


@pytest.mark.parametrize("of", ["as it comes", "activation"])
@pytest.mark.parametrize("name", goodness.names)
def test_what_fades_has_no_gradient_where_a_unit_is_idle(name, of):
    part = goodness.get(name)
    if of == "activation":
        part = part.set_params(of=of) if "of" in part.get_params() else part
    h = torch.tensor([[0.0, 2.0, 0.0, 1.0, 3.0]], dtype=torch.float64, requires_grad=True)
    made = part.build(5, 3)
    if isinstance(made, torch.nn.Module):
        made = made.double()
        for p in made.parameters():
            torch.nn.init.normal_(p)
    made(h)[..., :1].sum().backward()
    idle = h.grad[h == 0]
    assert part.fades == bool((idle == 0).all())


@pytest.mark.parametrize("shape", ["a number", "one dimension too many", "too few rows"])
def test_a_goodness_of_another_shape_is_refused_in_a_sentence(shape):
    class Odd(Goodness):
        def score(self, h):
            return {
                "a number": h.sum(),
                "one dimension too many": h,
                "too few rows": h.mean(-1)[:1],
            }[shape]

    with pytest.raises(ValueError, match="must return one score per candidate"):
        FFClassifier(8, goodness=Odd(), max_iter=1).fit(*load_iris(return_X_y=True))

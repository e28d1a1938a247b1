"""Every goodness against NumPy, and its gradient through every normalisation and objective."""

import numpy as np
import pytest
import torch

from sklearn_ff.goodness import TopK, goodness
from sklearn_ff.layers import normalizations
from sklearn_ff.objectives import objectives

K = 3
REFERENCES = {
    "mean_square": lambda h: (h**2).sum(-1) / h.shape[-1],
    "sum_square": lambda h: np.einsum("...j,...j->...", h, h),
    "mean_activation": lambda h: h.sum(-1) / h.shape[-1],
    "top_k": lambda h: np.sort(h**2, axis=-1)[..., -20:].mean(-1),
}


class AsLayer:
    index, n_units = 0, 4


@pytest.mark.parametrize("name", sorted(set(goodness.names) - {"readout"}))
@pytest.mark.parametrize("shape", [(5, 7), (6, 3, 40)])
def test_goodness_matches_reference(name, shape):
    h = np.random.default_rng(0).normal(size=shape)
    part = goodness.get(name)
    assert not part.scores_classes
    g = part.build(shape[-1], K)(torch.tensor(h))
    assert g.shape == shape[:-1]
    np.testing.assert_allclose(g, REFERENCES[name](h), rtol=1e-12, atol=1e-12)


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


def test_a_callable_is_a_goodness():
    part = goodness.get(lambda h: h.abs().amax(-1))
    h = torch.tensor([[[1.0, -3.0], [2.0, 0.0]]])
    assert part.build(2, K)(h).tolist() == [[3.0, 2.0]]
    assert not part.scores_classes


@pytest.mark.parametrize("normalization", normalizations.names)
@pytest.mark.parametrize("objective", objectives.names)
@pytest.mark.parametrize("name", goodness.names)
def test_D1_gradients_agree_with_differences(name, objective, normalization):
    torch.manual_seed(3)
    part = TopK(k=2) if name == "top_k" else goodness.get(name)
    scorer = part.build(AsLayer.n_units, K)
    norm, loss = normalizations.get(normalization), objectives.get(objective).loss
    candidates = 1 if part.scores_classes else K
    weights = []
    if part.scores_classes:
        scorer = scorer.double()
        torch.nn.init.normal_(scorer.weight)
        torch.nn.init.normal_(scorer.bias)
        weights = list(scorer.parameters())
    z = torch.randn(2, candidates, AsLayer.n_units, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([[1, 0, 2], [0, 2, 1]])

    def losses(z, *weights):
        g = scorer(norm(z))
        g = g.squeeze(1).gather(1, labels) if part.scores_classes else g
        return loss(g, AsLayer)

    assert torch.autograd.gradcheck(losses, (z, *weights))

"""The programs of docs/published_methods.md run, learn, and do what the page says of them."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from devices import array, put
from sklearn.base import clone
from sklearn.datasets import load_digits
from test_examples import fenced

from sklearn_ff import recipes
from sklearn_ff.recipes._pairs import class_patterns

PAGE = Path(__file__).parents[1] / "docs" / "published_methods.md"
X, y = load_digits(return_X_y=True)
HELD_OUT = slice(800, None)


def sections():
    """The text of every method by its heading."""
    parts = re.split(r"^## (.*)\n", PAGE.read_text(encoding="utf-8"), flags=re.M)[1:]
    found = dict(zip(parts[::2], parts[1::2], strict=True))
    del found["All recipes"], found["Sources"]
    return found


@pytest.fixture(scope="module")
def ran():
    """Run a method's program once; the names that it has defined."""
    done = {}

    def run(heading):
        if heading not in done:
            done[heading] = names = {"__name__": "snippet"}
            exec(compile(program(heading), heading, "exec"), names)
        return done[heading]

    return run


def program(heading):
    [code] = re.findall(r"^```python\n(.*?)^```", sections()[heading], re.M | re.S)
    return code


def layers_of(clf):
    return clf.net_.module_.layers


def rows():
    """The cells of the table of recipes, by name."""
    table = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \| (.*) \|$", PAGE.read_text("utf-8"), re.M)
    return {name: cells for name, *cells in table}


@pytest.mark.parametrize("name", recipes.__all__)
def test_the_table_says_what_the_docstring_of_a_recipe_says(name):
    text = inspect.getdoc(getattr(recipes, name))
    what, source, figures = rows()[name]
    assert what + "." == re.sub(r":func:`(\w+)`", r"`\1`", text.partition("\n\n")[0])
    published = text[text.index("Published") : text.index("What differs")]
    assert re.findall(r"\d+\.\d+", figures) and not set(re.findall(r"\d+\.\d+", figures)) - set(
        re.findall(r"\d+\.\d+", published)
    )
    authors = re.sub(r" et al\.|,| and", "", source).split()
    assert all(word in text[text.index("References") :] for word in authors)


def test_the_table_names_recipes_in_order():
    assert list(rows()) == sorted(recipes.__all__)


def test_every_program_of_the_page_is_run():
    assert len(fenced(PAGE)) == len(sections()) > 8


@pytest.mark.parametrize("heading", sections())
def test_a_program_is_short_and_learns(ran, heading):
    assert program(heading).count("\n") < 40
    assert ran(heading)["clf"].score(X[HELD_OUT], y[HELD_OUT]) > 0.82  # chance is 0.1


def after_one_epoch(clf, **params):
    """The layers of the same fit when it has only begun."""
    return layers_of(clone(clf).set_params(max_iter=1, **params).fit(X[:800], y[:800]))


def test_symba_shows_labels_by_patterns_alone(ran):
    clf = ran("SymBa with class patterns")["clf"]
    code = array(clf.net_.module_.encoder.code)[:10] / clf.label_strength_
    np.testing.assert_allclose(code, class_patterns(64, 10), rtol=1e-5)
    assert len(np.unique(np.corrcoef(code).round(3) > 0.5, axis=0)) == 10
    assert [layer.label for layer in layers_of(clf)] == [None, None]


def test_deeper_forward_predicts_by_means_of_groups_in_the_range_that_it_has_chosen(ran):
    clf, held = ran("DeeperForward")["clf"], y[600:800]
    g, chosen = clf.layer_scores(X[600:800]), clf.prediction_.layers
    mean = layers_of(clf)[1].goodness.score.mean  # of 20 channels in 8 x 8 pixels
    assert ((mean > 0).sum(0) == 1).all() and ((mean > 0).sum(1) == 2 * 64).all()
    h = put(torch.rand(3, 1280))
    groups = h.view(3, 64, 10, 2).mean((1, 3))
    torch.testing.assert_close(layers_of(clf)[1].goodness.score(h), groups)
    whole = (g.sum(1).argmax(1) == held).mean()
    ranged = g[:, chosen].sum(1).argmax(1)
    assert (ranged == held).mean() >= whole
    np.testing.assert_array_equal(clf.predict(X[600:800]), ranged)
    assert len(chosen) < 5 == g.shape[1]


def test_mono_forward_learns_a_readout_in_every_layer(ran):
    clf = ran("Mono-Forward")["clf"]
    z = put(torch.rand(2, 1, 200))
    for layer in layers_of(clf):
        assert layer.goodness.score.weight.abs().max() > 0.01
        assert torch.equal(layer.normalize(z), z)
    last = clf.layer_scores(X[HELD_OUT])[:, -1].argmax(1)
    assert (clf.predict(X[HELD_OUT]) == last).mean() > 0.995


def test_channels_compete_in_groups_that_a_convolution_keeps_apart(ran):
    clf = ran("Channel-wise competitive learning")["clf"]
    assert [tuple(layer.affine.weight.shape) for layer in layers_of(clf)] == [
        (40, 1, 3, 3),
        (80, 4, 3, 3),
    ]
    assert all(layer.goodness.score.squared for layer in layers_of(clf))


def test_asge_keeps_its_random_readouts(ran):
    clf = ran("ASGE")["clf"]
    for layer, begun in zip(layers_of(clf), after_one_epoch(clf), strict=True):
        assert torch.equal(layer.goodness.score.readout.weight, begun.goodness.score.readout.weight)
        assert layer.goodness.score.readout.weight.std() > 0.01
        assert not torch.equal(layer.affine.weight, begun.affine.weight)
    assert [layer.goodness.score.readout.weight.shape[1] for layer in layers_of(clf)] == [64, 32]
    z = layers_of(clf)[0].normalize(put(torch.rand(3, 1, 256))).view(3, 16, 16)
    torch.testing.assert_close(z.mean(2), put(torch.zeros(3, 16)), rtol=0, atol=1e-5)
    torch.testing.assert_close(z.square().mean(2), put(torch.ones(3, 16)), rtol=0, atol=1e-3)


def test_layer_collaboration_lets_each_layer_learn_beside_the_other(ran):
    clf = ran("Layer Collaboration")["clf"]
    together, alone = after_one_epoch(clf), after_one_epoch(clf, objective__weight=0.0)
    for one, other in zip(together, alone, strict=True):
        assert not torch.equal(one.affine.weight, other.affine.weight)


def test_local_errors_teach_the_map_of_the_activations(ran):
    clf = ran("Local error signals")["clf"]
    for layer, begun in zip(layers_of(clf), after_one_epoch(clf), strict=True):
        assert not torch.equal(layer.objective.built.map.weight, begun.objective.built.map.weight)


def test_a_residual_network_has_a_readout_in_every_layer_or_one_in_all(ran):
    whole = ran("A residual network")["clf"]
    kinds = ran("A residual network")["kinds"]
    begun = after_one_epoch(whole, layers=kinds)
    assert len(layers_of(whole)) == 1 and len(begun) == 3
    assert [layer.affine.n_added for layer in list(begun)[1:]] == [256, 256]


def test_a_mixer_learns_in_all_of_its_weights(ran):
    clf = ran("A mixer")["clf"]
    for layer, begun in zip(layers_of(clf), after_one_epoch(clf), strict=True):
        weights = zip(layer.affine.parameters(), begun.affine.parameters(), strict=True)
        assert not any(torch.equal(a, b) for a, b in weights)

"""Pictures: what displays draw, of which estimators, and what they refuse."""

import sys

import numpy as np
import pytest
from devices import array
from scipy.sparse import csr_array
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from torch.nn import Linear

from sklearn_ff import FFClassifier, FFOutlierDetector, FFTransformer, plotting
from sklearn_ff.layers import Block, Conv2d, LocallyConnected2d, Module
from sklearn_ff.plotting import (
    FamiliarityDisplay,
    GoodnessDisplay,
    HistoryDisplay,
    ReceptiveFieldDisplay,
)

X, y = load_digits(n_class=4, return_X_y=True)
X, y = X[:200], np.array(["zero", "one", "two", "three"])[y[:200]]
BRIEF = dict(max_iter=3, random_state=0)


@pytest.fixture(scope="module")
def plt():
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("Agg")
    return plt


@pytest.fixture(autouse=True)
def closed(plt):
    """A figure is drawn whole, so that what is wrong in it shows; then it is closed."""
    yield
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()
    plt.close("all")


@pytest.fixture(scope="module")
def clf():
    return FFClassifier((12, 6), early_stopping=True, **BRIEF).fit(X, y)


@pytest.fixture(scope="module")
def ff():
    return FFTransformer(12, **BRIEF).fit(X)


DRAW = {
    "history": lambda model, **options: HistoryDisplay.from_estimator(
        model, statistics=["loss"], **options
    ),
    "goodness": lambda model, **options: GoodnessDisplay.from_estimator(
        model, X[:1], y[:1], **options
    ),
    "fields": ReceptiveFieldDisplay.from_estimator,
    "familiarity": lambda model, **options: FamiliarityDisplay.from_estimator(
        model, X, grid_resolution=5, **options
    ),
}


@pytest.mark.parametrize("name", DRAW)
def test_a_display_draws_in_the_axes_that_it_is_given(plt, clf, ff, name):
    figure, (other, ax) = plt.subplots(1, 2)
    display = DRAW[name](ff if name == "familiarity" else clf, ax=ax)
    assert display.figure_ is figure and np.ravel(display.ax_)[0] is ax
    assert ax.has_data() and not other.has_data()
    again = display.plot(**{"statistics": ["loss"]} if name == "history" else {})
    assert again is display and display.figure_ is not figure


@pytest.mark.parametrize("name", ["history", "goodness", "fields"])
def test_an_estimator_may_stand_in_a_pipeline_or_a_search(name):
    model = make_pipeline(MinMaxScaler(), make_pipeline(PCA(16), FFClassifier(5, **BRIEF)))
    search = GridSearchCV(model, {"pipeline__ffclassifier__alpha": [0.1]}, cv=2).fit(X, y)
    assert np.ravel(DRAW[name](search).ax_)[0].has_data()


@pytest.mark.parametrize("name", DRAW)
def test_what_is_not_fitted_or_foreign_is_refused(name):
    with pytest.raises(NotFittedError):
        DRAW[name](FFClassifier())
    with pytest.raises(TypeError, match="LogisticRegression"):
        DRAW[name](LogisticRegression(max_iter=1000).fit(X, y))


@pytest.mark.parametrize("name", DRAW)
def test_without_matplotlib_a_sentence_says_what_to_install(monkeypatch, clf, name):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        DRAW[name](clf)


def test_displays_say_where_they_are_imported_from():
    assert {getattr(plotting, name).__module__ for name in plotting.__all__} == {plotting.__name__}


# Learning curves -----------------------------------------------------------------------------


def test_curves_are_those_of_the_history(clf):
    display = HistoryDisplay.from_estimator(clf)
    drawn = {name: [line.get_ydata() for line in lines] for name, lines in display.lines_.items()}
    losses = np.c_[clf.history_["loss"], clf.validation_loss_curve_]
    np.testing.assert_array_equal(np.transpose(drawn["loss"]), losses)
    both = [clf.history_["goodness_positive"], clf.history_["goodness_negative"]]
    np.testing.assert_array_equal(np.transpose(drawn["goodness"]), np.hstack(both))
    ranked = clf.history_["ranking_accuracy"]
    np.testing.assert_array_equal(np.transpose(drawn["ranking_accuracy"]), ranked)
    np.testing.assert_array_equal(drawn["validation"], [clf.validation_scores_])
    for ax in display.ax_[:3]:
        assert ax.get_legend_handles_labels()[1][:2] == ["layer 1", "layer 2"]


def test_layers_that_rest_have_no_curve_there():
    greedy = FFClassifier((6, 6), schedule=[(0, 1), (1, 2)], random_state=0).fit(X, y)
    first, second = HistoryDisplay.from_estimator(greedy).lines_["loss"]
    assert np.isnan(first.get_ydata()).tolist() == [False, True, True]
    assert first.get_marker() == "o" and second.get_marker() == "None"  # one epoch is no line


def test_unknown_statistics_and_other_numbers_of_axes_are_refused(plt, clf, ff):
    with pytest.raises(ValueError, match="give some of loss, goodness"):
        HistoryDisplay.from_estimator(clf, statistics=["accuracy"])
    with pytest.raises(ValueError, match="early_stopping=True"):
        HistoryDisplay.from_estimator(ff, statistics=["validation"])
    with pytest.raises(ValueError, match="draws 4 panels, but ax holds 1"):
        HistoryDisplay.from_estimator(clf, ax=plt.gca())


# Goodness ------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [None, 0, -1])
def test_goodness_is_that_of_the_layers_that_count(clf, layer):
    display = GoodnessDisplay.from_estimator(clf, X[:3], y[:3], layer=layer)
    scores = clf.layer_scores(X[:3])
    expected = scores.sum(1) if layer is None else scores[:, layer]
    np.testing.assert_allclose(display.goodness, expected)
    assert [ax.get_title(loc="left").split(",")[0] for ax in display.ax_] == y[:3].tolist()
    assert display.images.shape == (3, 8, 8)


def test_layers_that_do_not_count_are_left_out():
    clf = FFClassifier((6, 6), prediction_layers=[1], **BRIEF).fit(X, y)
    display = GoodnessDisplay.from_estimator(clf, X[:2], kind="heatmap")
    np.testing.assert_allclose(display.goodness, clf.layer_scores(X[:2])[:, 1])
    assert [text.get_text() for text in display.ax_.get_xticklabels()] == clf.classes_.tolist()


def test_rows_that_are_no_images_have_bars_alone(plt):
    pandas = pytest.importorskip("pandas")
    clf = FFClassifier(6, **BRIEF)
    for rows in (X[:, :5], csr_array(X[:, :5]), pandas.DataFrame(X[:, :5], columns=list("abcde"))):
        display = GoodnessDisplay.from_estimator(clf.fit(rows, y), rows[:2])
        assert display.images is None and len(display.figure_.axes) == 2


@pytest.mark.parametrize(
    "model, options, sentence",
    [
        (FFTransformer(6, **BRIEF), {}, "has not learned labels"),
        (
            FFClassifier(6, negatives="noise", prediction="head", **BRIEF),
            {},
            "No layer is shown a label",
        ),
        (FFClassifier(6, **BRIEF), {"layer": 1}, "layer=1 is not the index of one of 1 layers"),
        (FFClassifier(6, **BRIEF), {"kind": "pie"}, "give 'bars' or 'heatmap'"),
        (FFClassifier(6, **BRIEF), {"image_shape": (3, 8)}, "rows of 64 columns"),
    ],
)
def test_what_has_no_goodness_of_labels_is_refused(model, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        GoodnessDisplay.from_estimator(model.fit(X, y), X[:2], **options)


def test_bars_are_for_a_few_rows(clf):
    with pytest.raises(ValueError, match="kind='heatmap'"):
        GoodnessDisplay.from_estimator(clf, X)
    assert GoodnessDisplay.from_estimator(clf, X, y, kind="heatmap").ax_.has_data()


# Receptive fields ----------------------------------------------------------------------------


def test_fields_of_a_dense_layer_are_its_weights(clf):
    weight = array(clf.net_.module_.layers[0].affine.weight)
    display = ReceptiveFieldDisplay.from_estimator(clf)
    np.testing.assert_allclose(display.fields, weight.reshape(12, 8, 8))
    some = ReceptiveFieldDisplay.from_estimator(clf, units=[3, 1], image_shape=(4, 16))
    np.testing.assert_allclose(some.fields, weight[[3, 1]].reshape(2, 4, 16))
    assert display.image_.get_array().max() == 1


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("pool", [None, "max"])
def test_fields_of_a_convolution_are_its_kernels(channels, pool):
    shape = (channels, 8, 8)
    layers = [Conv2d(5, kernel_size=3, pool=pool)]
    clf = FFClassifier(layers=layers, image_shape=shape, goodness="readout", **BRIEF)
    clf.fit(np.tile(X, channels), y)
    kernels = array(clf.net_.module_.layers[0].affine.weight)
    fields = ReceptiveFieldDisplay.from_estimator(clf).fields
    if channels == 3:
        np.testing.assert_allclose(fields, kernels.transpose(0, 2, 3, 1))
    else:  # channels stand side by side; the first is cut alike
        np.testing.assert_allclose(fields[:, :3, :3], kernels[:, 0], rtol=1e-6)


def test_units_of_local_fields_have_their_places():
    layers = [LocallyConnected2d(2, kernel_size=3)]
    options = dict(image_shape=(1, 8, 8), goodness="readout", **BRIEF)
    clf = FFClassifier(layers=layers, **options).fit(X, y)
    fields = ReceptiveFieldDisplay.from_estimator(clf, units=[0, 126]).fields
    assert [np.argwhere(field).min() for field in fields] == [0, 6]
    assert [np.argwhere(field).max() for field in fields] == [1, 7]


@pytest.mark.parametrize(
    "layers",
    [
        [12, 6],
        [Conv2d(4), Conv2d(5, pool="max")],
        [Block([8, 6])],
        [Module(lambda shape: Linear(shape[0], 6))],
    ],
    ids=["dense", "images", "block", "module"],
)
def test_rows_show_what_units_of_any_layer_respond_to(layers):
    images = isinstance(layers[0], Conv2d)
    options = {"image_shape": (1, 8, 8)} if images else {}
    options |= {"prediction_layers": [len(layers) - 1], "normalization": None}
    clf = FFClassifier(layers=layers, goodness="readout", **options, **BRIEF).fit(X, y)
    fields = ReceptiveFieldDisplay.from_estimator(clf, X, layer=-1).fields
    units = [(2 * 4 + 2) * 5 + channel for channel in range(5)] if images else range(6)
    h = clf.transform(X)[:, units]
    h = (h - h.mean(0)) / np.where(h.std(0) > 0, h.std(0), 1)
    expected = (h.T @ (X - X.mean(0)) / len(X)).reshape(-1, 8, 8)
    np.testing.assert_allclose(fields, expected, atol=1e-5)


@pytest.mark.parametrize(
    "model, options, sentence",
    [
        (FFClassifier((6, 6), **BRIEF), {"layer": 1}, "Layer 2 is not linear"),
        (FFClassifier(layers=[Block([6, 6])], **BRIEF), {}, "A block is not linear"),
        (FFClassifier(6, **BRIEF), {"layer": 1}, "one of 1 layers"),
        (FFClassifier(6, **BRIEF), {"units": [6]}, "between 0 and 5"),
    ],
)
def test_fields_that_are_not_there_are_refused(model, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        ReceptiveFieldDisplay.from_estimator(model.fit(X, y), **options)


def test_tables_need_a_shape():
    clf = FFClassifier(6, **BRIEF).fit(X[:, :10], y)
    with pytest.raises(ValueError, match=r"or \(1, 10\) for a table"):
        ReceptiveFieldDisplay.from_estimator(clf)
    assert ReceptiveFieldDisplay.from_estimator(clf, image_shape=(1, 10)).fields.shape == (6, 1, 10)


# Familiarity ---------------------------------------------------------------------------------


def test_a_map_of_two_columns_is_the_familiarity_of_its_points():
    ff = FFTransformer(6, **BRIEF).fit(X[:, 20:22])
    display = FamiliarityDisplay.from_estimator(ff, X[:, 20:22], grid_resolution=4)
    points = np.stack([display.xx0.ravel(), display.xx1.ravel()], 1)
    np.testing.assert_allclose(display.familiarity.ravel(), ff.score_samples(points))


def names(rows):
    """The option by which a data frame gets the names of another."""
    return {"columns" if type(rows).__module__.startswith("pandas") else "schema": [*rows.columns]}


@pytest.mark.parametrize("frame", ["pandas", "polars"])
def test_a_map_of_more_columns_is_that_of_their_principal_plane(frame):
    library = pytest.importorskip(frame)
    rows = library.DataFrame({f"x{column}": X[:, column + 20] for column in range(3)})
    model = make_pipeline(MinMaxScaler(), FFTransformer(6, **BRIEF)).fit(rows)
    display = FamiliarityDisplay.from_estimator(model, rows, grid_resolution=4)
    there = PCA(2, svd_solver="covariance_eigh").fit(X[:, 20:23])
    points = np.stack([display.xx0.ravel(), display.xx1.ravel()], 1)
    ours = model.score_samples(library.DataFrame(there.inverse_transform(points), **names(rows)))
    np.testing.assert_allclose(display.familiarity.ravel(), ours)
    assert display.labels[0] == "first principal component"


def test_the_network_of_a_detector_of_outliers_is_drawn():
    detector = FFOutlierDetector(random_state=0).fit(X[:60])
    history = detector.transformer_.history_["loss"]
    drawn = HistoryDisplay.from_estimator(detector, statistics=["loss"]).lines_["loss"]
    np.testing.assert_array_equal(drawn[0].get_ydata(), history[:, 0])
    assert FamiliarityDisplay.from_estimator(detector, X[:60], grid_resolution=4).ax_.has_data()


def test_a_detector_of_scikit_learn_has_a_map():
    forest = IsolationForest(n_estimators=5, random_state=0).fit(X)
    assert FamiliarityDisplay.from_estimator(forest, X, grid_resolution=4).ax_.has_data()


@pytest.mark.parametrize("columns", [2, 4])
@pytest.mark.parametrize("value", [0.0, -1e9])
def test_rows_that_do_not_vary_lie_in_the_middle_of_a_map(columns, value):
    rows = np.full((20, columns), value)
    forest = IsolationForest(n_estimators=1, random_state=0).fit(rows)
    display = FamiliarityDisplay.from_estimator(forest, rows, grid_resolution=3)
    for grid, place in zip((display.xx0, display.xx1.T), display.points[0], strict=True):
        assert grid[0, 0] < grid[0, 1] == pytest.approx(place) and place < grid[0, 2]


@pytest.mark.parametrize("rows", [X[:, :1], X[:1]])
def test_a_map_needs_two_rows_and_two_columns(rows):
    forest = IsolationForest(n_estimators=5, random_state=0).fit(rows)
    with pytest.raises(ValueError, match="two rows and two columns"):
        FamiliarityDisplay.from_estimator(forest, rows)


def test_named_columns_of_a_table_are_no_pixels(plt):
    iris, labels = load_iris(return_X_y=True, as_frame=True)
    clf = FFClassifier(4, max_iter=1, random_state=0).fit(iris, labels)
    assert GoodnessDisplay.from_estimator(clf, iris[:2]).images is None
    with pytest.raises(ValueError, match="named as a table"):
        ReceptiveFieldDisplay.from_estimator(clf)
    pixels = iris.set_axis([f"pixel{i}" for i in range(4)], axis=1)
    clf.fit(pixels, labels)
    assert GoodnessDisplay.from_estimator(clf, pixels[:2]).images.shape == (2, 2, 2)

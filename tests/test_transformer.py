"""FFTransformer: features, familiarity, what it is refused, and scikit-learn's company."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff._draws import Draws
from sklearn_ff.goodness import ClassGroups
from sklearn_ff.negatives import (
    Corruption,
    DataNegatives,
    HeldOutClasses,
    HybridMask,
    Noise,
    OwnRows,
    Pool,
    Shuffle,
    negatives,
)
from sklearn_ff.normalizations import RMSNorm
from sklearn_ff.objectives import Logistic, Margin, SymBa

IRIS = load_iris(return_X_y=True)
DIGITS = [part[:600] for part in load_digits(return_X_y=True)]
DATA_NEGATIVES = [name for name in negatives.names if negatives.get(name).of_rows]


def small(**params):
    return FFTransformer(
        **{"hidden_layer_sizes": (20, 12), "max_iter": 5, "random_state": 0} | params
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", DATA_NEGATIVES)
def test_every_data_negative_ranks_rows_above_negative_ones(name):
    params = {"hidden_layer_sizes": (60, 60), "max_iter": 60, "learning_rate_init": 2e-2}
    fitted = small(negatives=name, **params).fit(DIGITS[0][:300])
    ranked = fitted.history_["ranking_accuracy"][-1]
    assert ranked.mean() > 0.5 if name == "noise" else (ranked > 0.6).all(), "noise is weak"


@pytest.mark.parametrize("name", DATA_NEGATIVES)
def test_negative_rows_are_other_rows_of_the_same_shape(name):
    draws = Draws(torch.Generator().manual_seed(0), "cpu")
    x = draws.normal(40, 12)
    made = negatives.get(name).negative_rows(x, draws)
    assert made.shape == x.shape and made.isfinite().all()
    assert (made != x).any(1).float().mean() > 0.8, "a mask may be all of one row"


@pytest.mark.fault("B8")
@pytest.mark.parametrize("name", ["pair_sum", "hybrid_mask", "shuffle"])
@pytest.mark.parametrize("n_rows", [257, 513])
def test_no_row_is_left_to_compete_with_itself(name, n_rows):
    sizes = []

    class Noted(type(negatives.get(name))):
        def negative_rows(self, x, draws):
            sizes.append(len(x))
            return super().negative_rows(x, draws)

    small(negatives=Noted(), batch_size=256, max_iter=1).fit(DIGITS[0][:n_rows])
    assert min(sizes) >= 2 and sum(sizes) == n_rows


@pytest.mark.parametrize("n_blurs", [0, 6])
@pytest.mark.parametrize("shape", [None, (1, 2, 2), (2, 1, 2)])
def test_a_hybrid_is_never_one_of_its_rows(shape, n_blurs):
    draws = Draws(torch.Generator().manual_seed(0), "cpu")
    x = torch.arange(1000.0)[:, None].expand(-1, 4)
    made = HybridMask(shape, n_blurs).negative_rows(x, draws)
    assert (made.amin(1) != made.amax(1)).all(), "every hybrid has pixels of two rows"


def test_held_out_rows_are_drawn_by_their_weight():
    pool = torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([0.0, 0.25, 1.0])
    draws = Draws(torch.Generator().manual_seed(0), "cpu")
    drawn = HeldOutClasses([1]).bind(pool).candidates(torch.zeros(4000, 1), draws)[:, 1]
    share = torch.bincount(drawn.flatten().long(), minlength=3) / 4000
    torch.testing.assert_close(share, torch.tensor([0.0, 0.25, 0.75]), atol=0.03, rtol=0)


def test_weights_of_held_out_rows_count():
    X, y = DIGITS
    weight = np.where(y == 9, 0.0, 1.0)
    part = HeldOutClasses([9])
    with pytest.raises(ValueError, match="of weight zero only"):
        FFClassifier(8, negatives=part, max_iter=1, prediction="head").fit(X, y, weight)


def test_a_warm_start_does_not_forget_a_class():
    X, y = DIGITS
    fitted = FFClassifier(8, negatives="uniform", max_iter=1, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="that the last fit has learned"):
        fitted.set_params(negatives=HeldOutClasses([9])).fit(X, y)


def test_labels_to_validate_by_are_those_learned():
    X, y = DIGITS
    part = FFClassifier(8, negatives=HeldOutClasses([9]), max_iter=1, prediction="head")
    with pytest.raises(ValueError, match="y_val contains labels"):
        part.fit(X, y, X_val=X, y_val=y)


def test_labels_are_ignored_even_when_continuous():
    X, y = IRIS
    expected = small().fit_transform(X)
    np.testing.assert_array_equal(small().fit_transform(X, y), expected)
    np.testing.assert_array_equal(small().fit_transform(X, X[:, 0] * 1.7), expected)


def test_supervised_features_serve_a_linear_model_better_than_none():
    X, y = DIGITS
    learned = small(supervised=True, max_iter="auto").fit(X[:300], y[:300])
    untrained = small(learning_rate_init=1e-12, max_iter=1).fit(X[:300])
    scores = [
        LogisticRegression(max_iter=500)
        .fit(t.transform(X[:300]), y[:300])
        .score(t.transform(X[300:]), y[300:])
        for t in (learned, untrained)
    ]
    assert scores[0] > scores[1]
    assert learned.classes_.tolist() == list(range(10))


@pytest.mark.parametrize("output", ["triangle", "activations"])
@pytest.mark.parametrize("layers, width", [("all", 32), ("skip_first", 12), ([0], 20), ([-1], 12)])
def test_features_are_the_chosen_layers_at_mean_square_one(layers, width, output):
    features = small(output_layers=layers, output=output).fit_transform(IRIS[0])
    assert features.shape == (150, width) and (features >= 0).all()
    if width < 32:
        active = features.any(1)
        np.testing.assert_allclose(np.square(features[active]).mean(1), 1, rtol=1e-3)


def test_names_frames_and_dtypes():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(IRIS[0], columns=list("abcd"))
    fitted = small().set_output(transform="pandas").fit(frame)
    out = fitted.transform(frame)
    assert list(out.columns) == list(fitted.get_feature_names_out())
    assert out.columns[0] == "fftransformer0" and out.shape == (150, 32)
    assert fitted.feature_names_in_.tolist() == list("abcd")
    for dtype in (np.float32, np.float64):
        assert small().fit(IRIS[0]).transform(IRIS[0].astype(dtype)).dtype == dtype


def test_partial_fit_goes_on_and_pickles():
    X, y = DIGITS
    fitted = small().partial_fit(X[:300])
    before = fitted.transform(X[:5])
    fitted = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(fitted.transform(X[:5]), before)
    fitted.partial_fit(X[300:])
    assert fitted.n_iter_ == 2 and not np.array_equal(fitted.transform(X[:5]), before)
    supervised = small(supervised=True).partial_fit(X[:300], y[:300], classes=range(10))
    assert supervised.partial_fit(X[300:], y[300:]).n_iter_ == 2


def test_familiar_rows_score_higher():
    X, _ = DIGITS
    rng = np.random.default_rng(0)
    odd = rng.permuted(X[300:], axis=0)
    fitted = small(hidden_layer_sizes=(100,), max_iter=100).fit(X[:300])
    scores = np.r_[fitted.score_samples(X[300:]), fitted.score_samples(odd)]
    assert scores.shape == (600,)
    assert roc_auc_score(np.repeat([1, 0], 300), scores) > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("negatives", ["auto", "shuffle", "hybrid_mask"])
def test_a_quiet_goodness_finds_rows_unlike_all_negatives(negatives):
    X = load_digits().data
    strange = 16 - X  # dark on bright
    params = {"max_iter": 30, "random_state": 0}
    quiet = FFTransformer(64, goodness="neg_mean_square", negatives=negatives, **params)
    quiet.fit(X[:300])
    assert isinstance(quiet.objective_, SymBa)
    assert negatives != "auto" or isinstance(quiet.negatives_, Noise)
    scores = np.r_[quiet.score_samples(X[1000:]), quiet.score_samples(strange[1000:])]
    assert scores.max() <= 0
    assert roc_auc_score(np.repeat([1, 0], len(scores) // 2), scores) > 0.95


def test_sparse_rows_and_dense_rows_agree():
    dense = small().fit(DIGITS[0])
    sparse = small().fit(csr_matrix(DIGITS[0]))
    np.testing.assert_allclose(
        sparse.transform(csr_matrix(DIGITS[0])), dense.transform(DIGITS[0]), atol=1e-3
    )


def test_own_rows_callables_and_held_out_classes():
    X, y = DIGITS
    own = small(negatives=OwnRows(X[::-1] * 0.5)).fit(X)
    assert own.history_["ranking_accuracy"][-1].mean() > 0.5
    called = small(negatives=Corruption(lambda x, draws: x.flip(1))).fit(X)
    assert called.history_["ranking_accuracy"][-1].mean() > 0.5
    unseen = small(negatives=HeldOutClasses([5, 6, 7, 8, 9]), max_iter=60).fit(X, y)
    familiar = unseen.score_samples(X)
    assert roc_auc_score(y < 5, familiar) > 0.8


def test_held_out_classes_are_not_classes_of_a_classifier():
    X, y = DIGITS
    fitted = FFClassifier(
        40, negatives=HeldOutClasses([7, 8, 9]), max_iter=60, prediction="head", random_state=0
    ).fit(X, y)
    assert fitted.classes_.tolist() == list(range(7))
    assert fitted.score(X[y < 7], y[y < 7]) > 0.9


def test_held_out_classes_without_labels():
    X, y = DIGITS
    part = HeldOutClasses([7, 8, 9], labelled=False)
    fitted = FFClassifier(40, negatives=part, max_iter=30, prediction="head", random_state=0)
    fitted.fit(X, y)
    assert not fitted._fitted.plan.shows_labels
    assert fitted.score(X[y < 7], y[y < 7]) > 0.9
    with pytest.raises(ValueError, match="only the head can predict"):
        fitted.set_params(prediction="goodness").fit(X, y)


REFUSED = {
    "head": (FFClassifier(negatives="pair_sum"), "prediction='head'"),
    "one pass": (FFTransformer(negatives="shuffle", goodness="class_groups"), "mean_square"),
    "all held out": (FFTransformer(negatives=HeldOutClasses([0, 1, 2])), "leave others"),
    "none held out": (FFTransformer(negatives=HeldOutClasses([7])), "classes that occur"),
    "image": (FFTransformer(negatives=HybridMask((1, 3, 3))), "image_shape"),
    "no shape": (FFTransformer(negatives=HybridMask((1, "a", 3))), "no shape of an image"),
    "two sides": (FFTransformer(negatives=HybridMask((2, 2))), "no shape of an image"),
    "two shapes": (
        FFTransformer(negatives=HybridMask((1, 2, 2)), image_shape=(2, 2, 1)),
        "give the shape once",
    ),
    "an array": (FFTransformer(negatives=Corruption(lambda x, draws: x.tolist())), "torch tensor"),
    "a list": (FFClassifier(negatives=lambda y, K, draws: y.tolist()), "torch tensor"),
    "floats": (FFClassifier(negatives=lambda y, K, draws: y[:, None] * 1.0), "of torch.int64"),
    "none": (FFClassifier(negatives=lambda y, K, draws: y[:, None][:, :0]), r"\(150, 1\) was"),
    "whole rows": (FFTransformer(negatives=Corruption(lambda x, draws: x.long())), "float"),
    "no numbers": (FFTransformer(negatives=Corruption(lambda x, draws: x * np.nan)), "finite"),
    "no function": (FFTransformer(negatives=Corruption(3)), "cannot be called"),
    "a set": (FFTransformer(negatives=HeldOutClasses({2})), "needs a list or an array"),
    "a number": (FFTransformer(negatives=HeldOutClasses(2)), "needs a list or an array"),
    "nan rows": (FFTransformer(negatives=OwnRows(np.full((3, 4), np.nan))), "OwnRows.*NaN"),
    "many rows": (
        FFTransformer(negatives=OwnRows(np.ones((50, 4))), goodness="readout"),
        r"OwnRows\(rows=<ndarray of shape \(50, 4\)>\)",
    ),
    "alone": (FFClassifier(negatives="pair_sum", prediction="head", batch_size=1), "1 sample"),
    "detached": (FFClassifier(goodness=lambda h: h.detach().mean(-1)), "without a gradient"),
    "other floats": (FFClassifier(goodness=lambda h: h.half().mean(-1)), "torch.float16"),
    "rates": (FFTransformer(learning_rate_init=["a"]), "learning_rate_init"),
    "infinite": (FFTransformer(learning_rate_init=[np.inf]), "learning_rate_init"),
    "ragged": (FFTransformer(hidden_layer_sizes=[[3], [4, 5]]), "hidden_layer_sizes"),
    "ragged layers": (FFTransformer(output_layers=[[0], [0, 1]]), "output_layers"),
    "above zero": (
        FFTransformer(goodness="neg_mean_square", objective="logistic"),
        "never above 0; give negative thresholds",
    ),
    "negative above zero": (
        FFClassifier(goodness="neg_mean_square", objective=Logistic(-1.0, threshold_negative=0.5)),
        "goodness above 0.5",
    ),
    "two signs": (
        FFTransformer((8, 8), goodness=["mean_square", "neg_mean_square"]),
        "use one kind in all layers",
    ),
    "rows by a callable": (FFTransformer(negatives=lambda x, draws: x), "Corruption"),
    "rows by a partial": (FFTransformer(negatives=partial(torch.add, 1)), "Corruption"),
    "rows for a classifier": (FFClassifier(negatives=lambda x, draws: x), "Corruption"),
    "falling": (
        FFClassifier(goodness="neg_mean_square", objective=Margin(penalty=1.0)),
        "can fall without end; use penalty=0",
    ),
    "falling readout": (
        FFClassifier(goodness="readout", objective=Margin(penalty=1.0)),
        "can fall without end; use penalty=0",
    ),
    "two arguments": (
        FFClassifier(objective=lambda positive, negative: negative - positive),
        r"a callable \(scores\) -> losses, but it cannot be called with 1 argument: missing",
    ),
    "no arguments": (FFClassifier(negatives=lambda: 0), "with 3 arguments"),
    "a base": (FFTransformer(negatives=DataNegatives()), "the base class of such parts"),
    "a pool": (FFTransformer(negatives=Pool()), "the base class of such parts"),
    "no labels": (FFTransformer(negatives="hard"), "supervised=True"),
    "no rows": (FFTransformer(negatives="pair_sum", supervised=True), "supervised=False"),
    "no classes": (FFTransformer(goodness="readout"), "supervised=True"),
    "shares": (FFTransformer(negatives=Shuffle(5)), "at most 1"),
    "group": (FFClassifier(goodness=ClassGroups("cube")), "one of"),
    "share": (FFTransformer(negatives=Shuffle(-3)), "above 0"),
    "blurs": (FFTransformer(negatives=HybridMask(n_blurs=-1)), "at least 0"),
    "scale": (FFTransformer(negatives=Noise("a")), "finite number"),
    "layers": (FFTransformer(output_layers=[5]), "output_layers"),
    "label K": (FFClassifier(negatives=lambda y, K, draws: y[:, None] * 0 + K), "must be 0 to 2"),
    "own rows": (FFTransformer(negatives=OwnRows(np.ones((3, 2)))), "features"),
    "callable": (FFTransformer(negatives=Corruption(lambda x, draws: x[:1])), "one negative row"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_are_one_sentence_with_a_remedy(name):
    estimator, said = REFUSED[name]
    with pytest.raises(ValueError, match=said) as caught:
        estimator.set_params(max_iter=1).fit(*IRIS)
    assert "\n" not in str(caught.value)


def test_held_out_classes_need_labels():
    with pytest.raises(ValueError, match="y is missing"):
        FFTransformer(negatives=HeldOutClasses([2])).fit(IRIS[0])


def test_partial_fit_supports_pools():
    X, y = DIGITS
    fitted = FFClassifier(20, negatives=HeldOutClasses([9]), random_state=0)
    assert fitted.partial_fit(X, y, classes=range(10)).classes_.tolist() == list(range(9))
    assert fitted.partial_fit(X, y, classes=range(10)).n_iter_ == 2
    own = FFClassifier(20, negatives=OwnRows(X), prediction="head", random_state=0)
    assert own.partial_fit(X, y, classes=range(10)).predict(X).shape == (600,)


def test_learning_with_and_without_labels_is_not_mixed():
    X, y = DIGITS
    params = {"negatives": "pair_sum", "objective": "swish"}
    fitted = small(warm_start=True, **params).fit(X)
    assert not hasattr(fitted, "classes_")
    with pytest.raises(ValueError, match="architecture has changed"):
        fitted.set_params(supervised=True, negatives="uniform").fit(X, y)


def test_learning_labels_after_none_is_refused():
    X, y = DIGITS
    fitted = small().partial_fit(X)
    with pytest.raises(ValueError, match="architecture has changed"):
        fitted.set_params(supervised=True).partial_fit(X, y, classes=range(10))


def test_frames_of_single_precision_stay_so():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(IRIS[0].astype(np.float32))
    assert small().fit_transform(frame).dtype == np.float32


def test_own_rows_need_no_names():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(IRIS[0], columns=list("abcd"))
    assert small(negatives=OwnRows(IRIS[0])).fit(frame).n_iter_ == 5


def test_a_warm_start_goes_on_with_the_weights_and_begins_a_history():
    fitted = small(warm_start=True).fit(DIGITS[0])
    before = fitted.history_["loss"][0]
    assert fitted.fit(DIGITS[0]).n_iter_ == 5
    assert (fitted.history_["loss"][0] < before).all()


def test_a_callable_cannot_change_the_training_rows():
    rows = []

    def spoil(x, draws):
        rows.append(x.clone())
        return x.add_(1)

    small(negatives=Corruption(spoil), batch_size=600, max_iter=2).fit(DIGITS[0])
    assert torch.equal(rows[0], rows[1])


def test_one_row_is_refused_by_its_number():
    with pytest.raises(ValueError, match="1 sample"):
        FFTransformer().fit(IRIS[0][:1])


def test_a_step_of_pipelines_unions_and_grids():
    X, y = IRIS
    pipe = make_pipeline(small(), LogisticRegression(max_iter=300))
    grid = {"fftransformer__output": ["triangle", "activations"]}
    assert GridSearchCV(pipe, grid, cv=3).fit(X, y).best_score_ > 0.7
    columns = ColumnTransformer([("ff", small(), [0, 1]), ("rest", "passthrough", [2, 3])])
    assert columns.fit_transform(X).shape == (150, 34)
    assert columns.get_feature_names_out()[0] == "ff__fftransformer0"
    union = make_union(small(), small(supervised=True))
    assert isinstance(union, FeatureUnion) and union.fit(X, y).transform(X).shape == (150, 64)
    assert clone(pipe).get_params()["fftransformer__max_iter"] == 5


@pytest.mark.parametrize("name", DATA_NEGATIVES)
def test_a_classifier_learns_from_corrupted_rows_of_any_kind(name):
    X, y = DIGITS
    clf = FFClassifier(64, negatives=name, prediction="head", random_state=0).fit(X[:400], y[:400])
    assert isinstance(clf.input_normalization_, RMSNorm)
    assert clf.score(X[400:], y[400:]) > 0.75

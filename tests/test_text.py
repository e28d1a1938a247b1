"""Tables of mostly zeros: what "auto" comes to, what it does, and that text is learned."""

from functools import partial

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_digits, load_iris
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer

from sklearn_ff import FFClassifier, FFTransformer
from sklearn_ff._scaling import scaler_for


def counts(n=80, d=200, density=0.04, seed=0):
    rng = np.random.default_rng(seed)
    return rng.poisson(1 / np.arange(1, d + 1) ** 0.2, (n, d)) * (rng.random((n, d)) < density)


def kind(X, weight=None):
    return scaler_for(X, np.ones(X.shape[0]) if weight is None else weight, "auto")[1]


def with_columns(*columns):
    return np.hstack([counts().astype(float), *columns])


RNG = np.random.default_rng(1)
RARE_SUMS = np.where(RNG.random((80, 1)) < 0.05, 10_000.0, 0)
TABLES = {
    "counts": (counts(), "sparse"),
    "shares of rows": (counts() / np.maximum(1, counts().sum(1, keepdims=True)), "sparse"),
    "signed": (counts() * RNG.choice([-1, 1], (80, 200)), "sparse"),
    "one-hot": (KBinsDiscretizer(12, encode="onehot").fit_transform(RNG.random((80, 5))), "sparse"),
    "with ages": (with_columns(RNG.uniform(18, 90, (80, 2))), "sparse"),
    "with rare large sums": (with_columns(RARE_SUMS), "standard"),
    "a fifth is not zero": (counts(density=0.5), "standard"),
    "digits": (load_digits().data, "shared"),
    "iris": (load_iris().data, "shared"),
    "zeros": (np.zeros((5, 3)), "standard"),
    "one column of zeros": (np.eye(20)[:, :1], "shared"),
}


@pytest.mark.parametrize("name", TABLES)
def test_auto_is_sparse_for_nine_tenths_zeros_in_like_units(name):
    X, expected = TABLES[name]
    assert kind(X) == expected
    dense = X.toarray() if sparse.issparse(X) else X
    assert kind(dense) == kind(sparse.csr_array(dense)) == expected


def test_weights_count_as_copies_of_rows():
    X = np.vstack([counts(), np.ones((10, 200))])
    assert kind(X) == "standard"
    assert kind(X, np.repeat([20.0, 1.0], [80, 10])) == "sparse"


def idf(share):
    return 1 - np.log(np.maximum(share, 1 / 80))


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_zeros_stay_zeros_and_rare_words_weigh_by_the_logarithm_of_their_share(container):
    X = counts().astype(float)
    scaler, _, rms = scaler_for(container(X), np.ones(80), "sparse")
    z, weighted = scaler.scaled(container(X)), X * idf((X != 0).mean(0))
    np.testing.assert_allclose(z, weighted / np.sqrt((weighted**2).mean()))
    assert rms == 1


@pytest.mark.parametrize("factor", [1e-6, 3, 1e6])
def test_rarity_does_not_depend_on_the_unit_of_weights(factor):
    X, rows = counts().astype(float), np.eye(200)
    one, other = (scaler_for(X, np.full(80, w), "sparse")[0] for w in (1.0, factor))
    np.testing.assert_allclose(other.scaled(rows), one.scaled(rows))


def test_a_word_of_a_row_of_next_to_no_weight_is_not_amplified():
    X, weight = counts().astype(float), np.ones(80)
    X[:, 3], X[7, 3], weight[7] = 0, 1, 1e-200
    z = scaler_for(X, weight, "sparse")[0].scaled(np.eye(200))
    assert z[3, 3] < 5 * z[4, 4]


def test_one_hot_codes_are_divided_by_one_number():
    codes = KBinsDiscretizer(16, encode="onehot-dense", strategy="uniform")
    X = codes.fit_transform(np.random.default_rng(0).normal(size=(80, 5)))
    X[3, X[3].argmax()] = 0  # a value that is missing
    z = scaler_for(X, np.ones(80), "sparse")[0].scaled(X)
    np.testing.assert_allclose(z, X / np.sqrt((X**2).mean()))


def test_columns_that_are_rarely_zero_are_standardised():
    ages = RNG.uniform(18, 90, (80, 1))
    X = with_columns(ages)
    z = scaler_for(X, np.ones(80), "sparse")[0].scaled(X)
    np.testing.assert_allclose((z**2).mean(), 1)
    np.testing.assert_allclose(z[:, -1].mean(), 0, atol=1e-9)
    words = z[:, :-1][X[:, :-1] != 0]
    np.testing.assert_allclose(np.sqrt((words**2).mean()), z[:, -1].std())


def test_words_that_were_never_seen_weigh_as_the_rarest():
    X = counts().astype(float)
    X[:, 3], X[:, 4], X[9, 4] = 0, 0, 1
    z = scaler_for(X, np.ones(80), "sparse")[0].scaled(np.eye(200)).diagonal()
    assert z[3] == z[4] == z.max()


@pytest.mark.parametrize("share", [0.2, 0.02])
def test_a_constant_column_that_turns_out_mostly_zero_is_scaled_by_its_rarity(share):
    X, y = with_columns(np.ones((80, 1))), np.arange(80) % 2
    later = np.vstack([with_columns(np.arange(80)[:, None] < 80 * share)] * 30)
    model = FFClassifier((4,), scaling="sparse", random_state=0)
    model.partial_fit(X, y, classes=[0, 1]).partial_fit(later, np.tile(y, 30))
    z = model.net_.module_.scaler.scaled(np.eye(201)).diagonal()
    shown = (1 + later[:, 200].sum()) / (1 + len(later))
    np.testing.assert_allclose(z[200] / z[0], idf(shown) / idf((X[:, 0] != 0).mean()))


@pytest.mark.parametrize("scaling", ["auto", "sparse"])
@pytest.mark.parametrize("n", [80, 300])
def test_dense_and_sparse_rows_are_learned_alike(scaling, n):
    X = counts(n)
    y = (X[:, :20].sum(1) > X[:, 20:40].sum(1)).astype(int)
    params = {"hidden_layer_sizes": (16,), "scaling": scaling, "max_iter": 5, "random_state": 0}
    dense = FFClassifier(**params).fit(X, y)
    rows = FFClassifier(**params).fit(sparse.csr_array(X), y)
    assert dense.scaling_ == rows.scaling_ == "sparse"
    np.testing.assert_allclose(rows.predict_proba(X), dense.predict_proba(X), atol=1e-4)
    assert FFTransformer((8,), max_iter=1, random_state=0).fit(rows_of(X)).scaling_ == "sparse"


def rows_of(X):
    return sparse.csc_matrix(X)


WORDS = {"fruit": "apple pear plum cherry grape", "metal": "iron zinc copper nickel lead"}


def sentences(n, seed):
    """Two words of a topic among twenty that tell nothing."""
    rng = np.random.default_rng(seed)
    topics = rng.choice(list(WORDS), n)
    noise = [f"word{i}" for i in range(300)]
    texts = [
        " ".join([*rng.choice(WORDS[topic].split(), 2), *rng.choice(noise, 20)]) for topic in topics
    ]
    return texts, topics


@pytest.mark.slow
@pytest.mark.parametrize(
    "vectorizer", [TfidfVectorizer(), CountVectorizer(), HashingVectorizer(n_features=2**10)]
)
def test_rare_words_do_not_dominate_informative_ones(vectorizer):
    params = {"max_iter": 30, "random_state": 0}
    model = make_pipeline(vectorizer, FFClassifier(**params)).fit(*sentences(300, 0))
    assert model[-1].scaling_ == "sparse"
    own = model.score(*sentences(300, 1))
    blown_up = make_pipeline(vectorizer, FFClassifier(scaling="standard", **params))
    assert own > blown_up.fit(*sentences(300, 0)).score(*sentences(300, 1))
    assert own > 0.9


def in_use(model):
    eps = model.net_.optimizer_.param_groups[0]["eps"]
    return [type(model.objective_).__name__, type(model.negatives_).__name__, eps]


def texts_of(n_classes, n=300):
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(n) % n_classes)
    return sparse.hstack([sparse.csr_array(np.eye(n_classes)[y]), counts(n)]).tocsr(), y


@pytest.mark.parametrize("cls", [FFClassifier, partial(FFTransformer, supervised=True)])
def test_defaults_for_words_can_be_overridden(cls):
    X, y = texts_of(3)
    assert in_use(cls(max_iter=1).fit(X, y)) == ["Softmax", "All", 1e-3]
    own = dict(objective="symba", negatives="uniform", optimizer_params={"eps": 1e-6})
    assert in_use(cls(max_iter=1, **own).fit(X, y)) == ["SymBa", "Uniform", 1e-6]
    assert in_use(cls(max_iter=1, scaling="standard").fit(X, y)) == ["Swish", "Hard", 1e-8]
    assert in_use(cls(max_iter=1).partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y))[2] == 1e-3


def test_many_classes_of_texts_compete_one_by_one():
    assert in_use(FFClassifier(max_iter=1).fit(*texts_of(25))) == ["Swish", "Hard", 1e-3]


def test_rows_that_compete_with_rows_keep_their_objective():
    model = FFClassifier(negatives="shuffle", prediction="head", max_iter=1).fit(*texts_of(3))
    assert in_use(model)[0] == "Swish"

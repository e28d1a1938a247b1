"""Fits on several ranks learn what one process learns, and end together."""

import os
import signal
import subprocess
import sys
import time
import warnings
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from ranks import Failed, Ranks
from scipy.sparse import csr_matrix
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier
from skorch.callbacks import Callback

from sklearn_ff import FFClassifier, FFTransformer, distributed, save
from sklearn_ff._checkpoints import state_in
from sklearn_ff._stored import StoredRows
from sklearn_ff.callbacks import Checkpoint
from sklearn_ff.distributed._group import Ranks as CommonRanks
from sklearn_ff.distributed._group import joined_ranks
from sklearn_ff.distributed._layers import cuts
from sklearn_ff.exceptions import RankError
from sklearn_ff.layers import Conv2d, Dense, Module
from sklearn_ff.negatives import HeldOutClasses, OwnRows, Permuted, Uniform
from sklearn_ff.objectives import Collaboration
from sklearn_ff.predictions import Goodness
from sklearn_ff.schedules import Simultaneous

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform == "win32", reason="kills processes by signals"),
]
X, y = load_digits(return_X_y=True)
X, y = X[:360], y[:360]
CUT = 210  # the first rank has more rows than the second
COMMON = {"max_iter": 2, "batch_size": 32, "precision": "float64", "random_state": 0}
WEIGHT = np.where(np.arange(360) % 7, 1.0, np.where(np.arange(360) % 2, 0.0, 2.5))


@pytest.fixture(scope="module")
def ranks():
    """Three processes, of which most tests need two."""
    with Ranks(3) as ranks:
        yield ranks


def fit(estimator, parts, options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return distributed.fit(estimator, *parts, **options)


def shared(*tables, cut=CUT):
    """The rows of two ranks."""
    return [[table[:cut] for table in tables], [table[cut:] for table in tables]]


def together(ranks, estimator, *tables, cut=CUT, options=({}, {})):
    return ranks.run(fit, [estimator] * 2, shared(*tables, cut=cut), options)


CASES = {
    "a head, dropout and peers": (
        FFClassifier([16, 12], dropout=0.2, peer_normalization=0.03, alpha=0.1, **COMMON),
        (X, y),
    ),
    "weights": (
        FFClassifier(16, class_weight="balanced", negatives=Uniform(2, redraw="epoch"), **COMMON),
        (X, y, WEIGHT),
    ),
    "held-out rows": (
        FFClassifier(
            [16, 12], schedule="greedy", early_stopping=True, scaling="standard", **COMMON
        ),
        (csr_matrix(X), y.astype(str)),
    ),
    "layers that held-out rows choose": (
        FFClassifier([16, 12], prediction=Goodness("best"), negatives="all", **COMMON),
        (X, y),
    ),
    "permuted labels": (FFClassifier([16, 12], negatives=Permuted(), **COMMON), (X, y)),
    "one batch": (
        FFClassifier(16, goodness="readout", overlay="append", **COMMON | {"batch_size": "all"}),
        (X.astype(np.uint16), y),
    ),
}


@pytest.mark.fault("H12")
@pytest.mark.parametrize("name", CASES)
def test_ranks_learn_what_one_process_learns(ranks, name):
    estimator, tables = CASES[name]
    found, nothing = together(ranks, estimator, *tables)
    one = fit(estimator, tables, {})
    assert nothing is None
    for own, other in zip(
        one.net_.module_.parameters(), found.net_.module_.parameters(), strict=True
    ):
        torch.testing.assert_close(own, other, rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.predict_proba(X), one.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(found.loss_curve_, one.loss_curve_, atol=1e-8)
    np.testing.assert_allclose(found.class_count_, one.class_count_)
    assert found.validation_scores_ == pytest.approx(one.validation_scores_)
    assert found.n_features_in_ == 64


def fit_stored(estimator, path, rows):
    """A fit to rows that stay in a file of many blocks, and how many were read at once."""
    toarray, read = StoredRows.toarray, []

    def recorded(rows):
        if rows.pages is not None:
            read.append(len(rows))
        return toarray(rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sklearn_ff._stored.BLOCK_NUMBERS", 2000)
        patch.setattr("sklearn_ff._stored.READ_BYTES", 20 * 8 * 64)
        patch.setattr("sklearn_ff._scaling.BLOCK_BYTES", 2**10)
        patch.setattr("sklearn_ff._scoring.PREDICTION_BYTES", 2**15)
        patch.setattr("sklearn_ff.distributed._rows.READ_NUMBERS", 20 * 64)
        patch.setattr("sklearn_ff.distributed._rows.SENT_NUMBERS", 20 * 64)
        patch.setattr(StoredRows, "toarray", recorded)
        fitted = fit(estimator, (np.load(path, mmap_mode="r")[rows], y[rows]), {})
    return fitted, max(read, default=0)


def test_rows_of_ranks_may_stay_in_files(ranks, tmp_path):
    np.save(tmp_path / "X.npy", X)
    estimator = FFClassifier(
        [8, 6], early_stopping=True, validation_fraction=0.5, prediction=Goodness("best"), **COMMON
    )
    shares = [slice(CUT), slice(CUT, None)]
    (found, most), (_, more) = ranks.run(
        fit_stored, [estimator] * 2, [tmp_path / "X.npy"] * 2, shares
    )
    one = fit(estimator, (X, y), {})
    np.testing.assert_allclose(found.predict_proba(X), one.predict_proba(X), atol=1e-6)
    assert max(most, more) <= 64, "neither all rows of a rank nor those held out of them"


def fit_sampled(estimator, tables):
    """A fit of which some rows alone settle the scale of probabilities, sent a few at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sklearn_ff._calibration.MOST_ROWS", 200)
        patch.setattr("sklearn_ff._calibration.NEIGHBOURS", 60)
        patch.setattr("sklearn_ff._calibration.NEIGHBOURS_PER_CLASS", 6)
        patch.setattr("sklearn_ff.distributed._rows.SENT_NUMBERS", 64 * 7)
        return fit(estimator, tables, {})


@pytest.mark.parametrize("kind", [np.asarray, csr_matrix])
def test_the_scale_of_probabilities_is_found_by_the_rows_of_one_process(ranks, kind):
    twice = X.copy()
    twice[200:300] = X[:100]  # equal rows of several labels, on both ranks
    estimator, tables = FFClassifier(8, **COMMON), (kind(twice), y, WEIGHT)
    found, _ = ranks.run(fit_sampled, [estimator] * 2, shared(*tables))
    one = fit_sampled(estimator, tables)
    np.testing.assert_allclose(found.predict_proba(X), one.predict_proba(X), atol=1e-8)


INTEGERS = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]


def extremes_of(tables):
    with joined_ranks(20) as group:
        ranks = CommonRanks(group)
        return [(ranks.least(table), ranks.most(table)) for table in tables]


def test_integers_of_any_kind_are_compared_exactly(ranks):
    ends = [np.iinfo(kind) for kind in INTEGERS]
    low = [np.array([end.min, 3, end.max - 1], end.dtype) for end in ends]
    high = [np.array([end.max, 2, end.max], end.dtype) for end in ends]
    for found in ranks.run(extremes_of, [low, high]):
        for (least, most), a, b in zip(found, low, high, strict=True):
            np.testing.assert_array_equal(least, np.minimum(a, b), strict=True)
            np.testing.assert_array_equal(most, np.maximum(a, b), strict=True)


def test_in_single_precision_ranks_differ_by_rounding(ranks):
    estimator = FFClassifier([16, 12], **COMMON | {"precision": "float32"})
    one, (found, _) = fit(estimator, (X, y), {}), together(ranks, estimator, X, y)
    assert abs(found.predict_proba(X) - one.predict_proba(X)).max() < 3e-5


@pytest.mark.parametrize("negatives", ["pair_sum", "noise"])
def test_a_transformer_measures_familiarity_by_the_rows_of_all_ranks(ranks, negatives):
    estimator = FFTransformer(8, negatives=negatives, **COMMON)
    tables = X, y, WEIGHT
    one, (found, _) = fit(estimator, tables, {}), together(ranks, estimator, *tables)
    np.testing.assert_allclose(found.score_samples(X), one.score_samples(X), rtol=1e-4)


def test_a_few_rows_without_labels_are_refused(one_rank):
    with pytest.raises(ValueError, match="200 rows without labels are a single batch"):
        distributed.fit(FFTransformer(8), X[:200])


@pytest.mark.fault("H11")
def test_a_rank_without_rows_in_a_batch_takes_part(ranks):
    estimator = FFClassifier(8, **COMMON | {"batch_size": 4})
    one, (found, _) = fit(estimator, (X, y), {}), together(ranks, estimator, X, y, cut=357)
    np.testing.assert_allclose(found.loss_curve_, one.loss_curve_, atol=1e-8)


@pytest.mark.fault("H11")
@pytest.mark.parametrize(
    "estimator",
    [FFClassifier(8, **COMMON), FFTransformer(8, negatives="noise", **COMMON)],
    ids=["classifier", "transformer"],
)
def test_a_rank_whose_rows_weigh_nothing_is_given_one(ranks, estimator):
    tables = csr_matrix(X), y, WEIGHT * (np.arange(360) < CUT)
    one, (found, _) = fit(estimator, tables, {}), together(ranks, estimator, *tables)
    np.testing.assert_allclose(found.loss_curve_, one.loss_curve_, atol=1e-8)
    np.testing.assert_allclose(found.transform(X), one.transform(X), atol=1e-6)


def test_a_rank_may_have_no_rows(ranks):
    estimator, val = FFClassifier(8, **COMMON), {"X_val": X[:50], "y_val": y[:50]}
    empty = {name: table[:0] for name, table in val.items()}
    one = fit(estimator, (X, y), val)
    found, _ = together(ranks, estimator, X, y, cut=360, options=(empty, val))
    np.testing.assert_allclose(found.loss_curve_, one.loss_curve_, atol=1e-8)
    assert found.validation_scores_ == pytest.approx(one.validation_scores_)


class FirstEnds(Callback):
    """Asks for an end in the first epoch, on the first rank alone."""

    def __init__(self, hook):
        setattr(self, hook, self.end)

    def end(self, net, **kwargs):
        if net.ranks_.first:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    "hook", ["on_epoch_begin", "on_batch_end", "on_grad_computed", "on_layer_scores"]
)
def test_an_end_that_one_rank_asks_for_within_an_epoch_is_served_at_its_end(ranks, hook):
    estimator = FFClassifier(8, callbacks=[FirstEnds(hook)], **COMMON)
    found, _ = together(ranks, estimator, X, y)
    assert found.n_iter_ == 1


def test_weights_that_are_zero_on_all_ranks_are_refused(ranks):
    ranks.begin(fit, [FFClassifier(8)] * 2, shared(X, y, 0 * WEIGHT), [{}, {}])
    for answer in ranks.answers():
        assert answer.message.startswith(
            "sample_weight: Sample weights must contain at least one non-zero"
        )


def test_a_large_batch_is_learned_from_in_the_parts_of_one_process(ranks):
    estimator = FFClassifier(8, **COMMON | {"batch_size": 200})
    found, _ = ranks.run(fit_in_parts, [estimator] * 2, shared(X, y))
    one = fit_in_parts(estimator, (X, y))
    np.testing.assert_allclose(found.loss_curve_, one.loss_curve_, atol=1e-8)


def fit_in_parts(estimator, tables):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sklearn_ff.core.engine.CANDIDATE_BYTES", 5 * 2 * 8 * 8 * 3)
        return fit(estimator, tables, {})


def test_held_out_rows_may_lie_on_one_rank(ranks):
    estimator, val = FFClassifier(8, **COMMON), {"X_val": X[:50], "y_val": y[:50]}
    one, (found, _) = (
        fit(estimator, (X, y), val),
        together(ranks, estimator, X, y, options=({}, val)),
    )
    assert found.validation_scores_ == pytest.approx(one.validation_scores_)


@pytest.mark.fault("H11")
def test_what_fails_on_one_rank_fails_on_all(ranks):
    broken = X.copy()
    broken[300, 5] = np.nan
    ranks.begin(fit, [FFClassifier(8)] * 2, shared(broken, y), [{}, {}])
    first, second = ranks.answers()
    assert (first.kind, second.kind) == ("RankError", "ValueError")
    assert first.message.startswith("Rank 1 has failed: Input X contains NaN")


@pytest.mark.parametrize(
    ("name", "values"),
    [("hidden_layer_sizes", (8, 9)), ("prediction", [Goodness(np.array([i])) for i in (0, 1)])],
    ids=["numbers", "arrays"],
)
def test_ranks_that_differ_are_told_in_what(ranks, name, values):
    estimators = [FFClassifier([8, 8]).set_params(**{name: value}) for value in values]
    ranks.begin(fit, estimators, shared(X, y), [{}, {}])
    for answer in ranks.answers():
        assert answer.message.startswith(f"The ranks differ in {name}; ")


def test_half_of_what_is_held_out_is_refused(one_rank):
    with pytest.raises(ValueError, match="X_val and y_val go together"):
        distributed.fit(FFClassifier(8), X, y, X_val=X)
    with pytest.raises(ValueError, match="to a classifier"):
        distributed.fit(FFTransformer(8), X, X_val=X, y_val=y)


def drawing(y, n_classes, draws):
    draws.uniform(len(y) + 1)  # of the rows of this rank, and one more
    return (y[:, None] + 1) % n_classes


def test_a_part_that_draws_another_number_of_times_on_each_rank_is_found_out(ranks):
    ranks.begin(fit, [FFClassifier(8, negatives=drawing, **COMMON)] * 2, shared(X, y), [{}, {}])
    for answer in ranks.answers():
        assert answer.kind == "RankError"
        assert answer.message.startswith("The ranks have drawn different random numbers")


@pytest.fixture
def one_rank(tmp_path):
    """A process group of this process alone."""
    dist.init_process_group("gloo", f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def dropping(shape):
    return torch.nn.Sequential(torch.nn.Linear(shape[0], 6), torch.nn.Dropout(0.2))


@pytest.mark.parametrize(
    ("estimator", "said"),
    [
        (FFClassifier(8, negatives=OwnRows(X), prediction="head"), "draw from a pool"),
        (FFClassifier(8, negatives=HeldOutClasses([9])), "draw from a pool"),
        (
            FFClassifier(layers=[Dense(8, norm="batch")], goodness="readout"),
            "Batch normalisation",
        ),
        (FFClassifier(layers=[Module(dropping)], goodness="readout"), "global generator"),
        (FFClassifier(8, early_stopping=True, scoring="f1_macro"), "scoring='f1_macro'"),
        (
            FFClassifier(
                8, negatives=Uniform(redraw="once"), callbacks=[Checkpoint("no")], random_state=0
            ),
            "drawn once",
        ),
        (FFClassifier(8, warm_start=True).fit(X, y), "warm_start=True"),
        (DummyClassifier(), "cannot be fitted on several ranks"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_ranks_cannot_learn_is_refused(one_rank, tmp_path, monkeypatch, estimator, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, TypeError), match=said):
        distributed.fit(estimator, X, y)


# Layers on several ranks --------------------------------------------------------------------------


def fit_layers(estimator, tables):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return distributed.fit_layers(estimator, *tables)


PIPELINES = {
    "labels": (
        FFClassifier([12, 10, 8], negatives="uniform", overlay="every_layer", **COMMON),
        (X, y, WEIGHT),
    ),
    "one pass": (
        FFClassifier(
            [16, 12],
            goodness="readout",
            learning_rate="constant",
            tol=1.0,
            n_iter_no_change=1,
            optimizer=["adam", "sgd"],
            **COMMON | {"max_iter": 8},
        ),
        (X, y),
    ),
    "sides": (
        FFClassifier(
            [12, 10],
            negatives=Permuted(),
            objective="logistic",
            schedule=Simultaneous("by_epoch"),
            peer_normalization=0.03,
            **COMMON,
        ),
        (X, y),
    ),
    "rows": (FFTransformer([12, 10], **COMMON | {"precision": "float32"}), (csr_matrix(X),)),
    "images": (
        FFClassifier(
            layers=[Conv2d(4, 3, norm="batch"), Dense(8)],
            image_shape=(1, 8, 8),
            overlay="channel",
            negatives="all",
            **COMMON | {"precision": "float32"},
        ),
        (X, y),
    ),
}


@pytest.mark.fault("H12")
@pytest.mark.parametrize("name", PIPELINES)
def test_layers_on_two_ranks_learn_to_the_bit_what_one_process_learns(ranks, name):
    estimator, tables = PIPELINES[name]
    found, nothing = ranks.run(fit_layers, [estimator] * 2, [tables, [None]])
    one = fit(estimator, tables, {})
    assert nothing is None
    for own, other in zip(
        one.net_.module_.state_dict().values(),
        found.net_.module_.state_dict().values(),
        strict=True,
    ):
        assert torch.equal(own, other)
    np.testing.assert_allclose(found.loss_curve_, one.loss_curve_, rtol=1e-6)
    for key, values in one.history_.items():
        np.testing.assert_allclose(found.history_[key], values, rtol=1e-6)
    if hasattr(one, "predict_proba"):
        assert (found.predict_proba(X) == one.predict_proba(X)).all()


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"negatives": "hard"}, "softmax head"),
        ({"schedule": "greedy"}, "one after another"),
        ({"objective": Collaboration()}, "goodness of other layers"),
        ({"dropout": 0.2}, "draw numbers inside of layers"),
        ({"negatives": "by_goodness"}, "draw numbers inside of layers"),
        ({"early_stopping": True}, "early_stopping"),
        ({"callbacks": [Callback()]}, "callbacks"),
        ({"negatives": OwnRows(X), "prediction": "goodness"}, "pool of rows|only the head"),
        ({"layers": [Dense(8, learned=False), Dense(8)], "prediction_layers": [1]}, "layers .1."),
        ({"batch_size": 10**6, "layers": [Dense(10**5)]}, "lower it"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_layers_on_several_ranks_cannot_learn_is_refused(one_rank, parameters, said):
    estimator = FFClassifier(**{"negatives": "uniform", **parameters})
    with pytest.raises(ValueError, match=said):
        distributed.fit_layers(estimator, X, y)


def test_more_ranks_than_layers_are_refused(ranks):
    ranks.begin(fit_layers, [FFClassifier(8, negatives="uniform")] * 2, [(X, y), (None,)])
    for answer in ranks.answers():
        assert "2 ranks are too many for 1 layers" in answer.message


def test_layers_are_divided_so_that_the_work_is_even():
    assert cuts([1, 1, 1, 1], 2) == [range(2), range(2, 4)]
    assert cuts([5, 1, 1, 1, 2], 3) == [range(1), range(1, 3), range(3, 5)]
    assert cuts([1] * 60, 30) == [range(begin, begin + 2) for begin in range(0, 60, 2)]


def test_divisions_of_layers_are_the_best_of_all():
    rng = np.random.default_rng(0)
    for n, n_ranks in [(5, 2), (6, 3), (7, 4), (8, 8), (8, 5)] * 4:
        costs = rng.integers(1, 6, n).tolist()
        ways = [[0, *ends, n] for ends in combinations(range(1, n), n_ranks - 1)]
        works = [sorted((sum(costs[a:b]) for a, b in pairwise(way)), reverse=True) for way in ways]
        best = ways[works.index(min(works))]
        assert cuts(costs, n_ranks) == [range(a, b) for a, b in pairwise(best)]


# Failures -----------------------------------------------------------------------------------------


class Slow(Callback):
    """A batch takes some time, in which a rank can be killed."""

    def on_batch_end(self, net, **kwargs):
        time.sleep(0.01)


def checkpointed(folder, parts, slow):
    callbacks = [Checkpoint(folder), *([Slow()] if slow else [])]
    estimator = FFClassifier([8, 8], callbacks=callbacks, **COMMON | {"max_iter": 12})
    fitted = fit(estimator, parts, {"timeout": 30})
    if fitted is not None:
        save(fitted.set_params(callbacks=None), Path(folder, "model"))
        return Path(folder, "model").read_bytes()
    return None


@pytest.mark.fault("H10")
def test_when_a_rank_is_killed_the_others_end_and_a_checkpoint_goes_on(ranks, tmp_path):
    parts, whole = shared(X, y), tmp_path / "whole"
    whole.mkdir()
    expected, _ = ranks.run(checkpointed, [whole] * 2, parts, [False] * 2)
    ranks.begin(checkpointed, [tmp_path] * 2, parts, [True] * 2)
    while not (files := [*tmp_path.glob("*.safetensors")]):
        time.sleep(0.01)
    os.kill(ranks.processes[1][0].pid, signal.SIGKILL)
    killed = time.monotonic()
    first, second = ranks.answers()
    assert time.monotonic() - killed < 60
    assert second is None
    assert isinstance(first, Failed)
    assert first.kind == RankError.__name__
    assert "Checkpoint" in first.message
    state_in(files[0])  # whole
    ranks.fill()
    again, _ = ranks.run(checkpointed, [tmp_path] * 2, parts, [False] * 2)
    assert again == expected


@pytest.mark.fault("H12")
def test_three_ranks_learn_rows_or_layers_of_one_process(ranks):
    estimator, ends = FFClassifier([12, 10, 8], negatives="uniform", **COMMON), (0, 150, 153, 360)
    parts = [(X[a:b], y[a:b]) for a, b in pairwise(ends)]
    one = fit(estimator, (X, y), {})
    by_rows, *others = ranks.run(fit, [estimator] * 3, parts, [{}] * 3)
    assert others == [None, None]
    np.testing.assert_allclose(by_rows.predict_proba(X), one.predict_proba(X), atol=1e-6)
    by_layers, *others = ranks.run(fit_layers, [estimator] * 3, [(X, y), (None,), (None,)])
    assert others == [None, None]
    np.testing.assert_array_equal(by_layers.predict_proba(X), one.predict_proba(X))


def fit_slowly(estimator, parts, folder):
    callbacks = [Checkpoint(folder), Slow()]
    return fit(estimator.set_params(callbacks=callbacks), parts, {"timeout": 3})


@pytest.mark.fault("H10")
def test_when_a_rank_falls_silent_the_others_end_after_the_timeout(ranks, tmp_path):
    estimator = FFClassifier(8, **COMMON | {"max_iter": 500})
    parts = [(X[rank::3], y[rank::3]) for rank in range(3)]
    ranks.begin(fit_slowly, [estimator] * 3, parts, [tmp_path] * 3)
    while not [*tmp_path.glob("*.safetensors")]:
        time.sleep(0.01)
    silent, stopped = ranks.processes[1][0].pid, time.monotonic()
    os.kill(silent, signal.SIGSTOP)
    try:
        for rank in (0, 2):
            assert ranks.processes[rank][1].poll(60), "waits for ever"
        assert time.monotonic() - stopped < 40
    finally:
        os.kill(silent, signal.SIGCONT)
    assert [answer.kind for answer in ranks.answers()] == ["RankError"] * 3


def fit_late(late):
    time.sleep(late)
    began = time.monotonic()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(RankError):
        patch.setattr("sklearn_ff.distributed._group.SLACK", 1)
        distributed.fit(FFClassifier(8), X, y, timeout=1)
    return time.monotonic() - began


@pytest.mark.fault("H10")
def test_a_rank_that_comes_late_waits_no_longer_than_the_others(ranks):
    """gloo would try for five seconds."""
    waited = ranks.run(fit_late, [0, 2.5])
    assert max(waited) < 4


@pytest.mark.slow
def test_torchrun_starts_the_program_of_the_page(tmp_path):
    page = Path(__file__, "../../docs/distributed.md").resolve().read_text(encoding="utf-8")
    program = tmp_path / "program.py"
    program.write_text(page.partition("```python\n")[2].partition("```")[0])
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*torchrun, "--nproc-per-node=2", str(program)],
        env=os.environ | {"GLOO_SOCKET_IFNAME": {"darwin": "lo0"}.get(sys.platform, "lo")},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "accuracy: 1.00\n", "the first rank alone has an estimator"

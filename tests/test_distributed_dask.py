"""Searches on a Dask cluster, and the ranks of a fit on its workers."""

import os
import sys
import time

import dask.array
import joblib
import numpy as np
import pytest
import torch
from distributed import Client, LocalCluster
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from sklearn_ff import FFClassifier, distributed
from sklearn_ff.exceptions import RankError

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="finds its interface by the host's name"),
]
X, y = load_digits(return_X_y=True)
X, y = X[:300], y[:300]
COMMON = {"max_iter": 2, "batch_size": 32, "precision": "float64", "random_state": 0}


@pytest.fixture(scope="module")
def client():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OMP_NUM_THREADS", raising=False)  # workers set it for themselves
        local = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
        with local as cluster, Client(cluster) as client:
            yield client


def test_a_search_on_a_cluster_has_the_scores_of_one_process(client):
    search = GridSearchCV(FFClassifier(8, **COMMON), {"alpha": [0.0, 1.0]}, cv=2)
    alone = search.fit(X, y).cv_results_["mean_test_score"]
    with joblib.parallel_config("dask"):
        on_cluster = search.fit(X, y).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(on_cluster, alone)
    assert set(client.run(torch.get_num_threads).values()) == {1}


def test_ranks_on_workers_learn_what_one_process_learns(client):
    estimator = FFClassifier([12, 8], **COMMON)
    blocks = (140, 100, 60)
    tables = (dask.array.from_array(table, chunks=(blocks, *table.shape[1:])) for table in (X, y))
    found = distributed.fit_on_dask(estimator, *tables)
    assert not hasattr(estimator, "classes_")
    np.testing.assert_allclose(
        found.predict_proba(X), estimator.fit(X, y).predict_proba(X), atol=1e-6
    )


def test_arrays_are_divided_among_the_workers(client):
    estimator, weight = FFClassifier(8, **COMMON), np.arange(300) % 3 + 1.0
    found = distributed.fit_on_dask(estimator, X, y, weight, client=client)
    np.testing.assert_allclose(found.loss_curve_, estimator.fit(X, y, weight).loss_curve_)


def test_an_error_of_a_worker_is_raised(client):
    with pytest.raises(ValueError, match=r"contains NaN|Rank \d has failed"):
        distributed.fit_on_dask(FFClassifier(8), np.where(X[7, 3] == X, np.nan, X), y)


def test_blocks_that_do_not_match_are_refused(client):
    rows = dask.array.from_array(X, chunks=(100, 64))
    with pytest.raises(ValueError, match="X has 3 blocks of rows and y 2"):
        distributed.fit_on_dask(FFClassifier(8), rows, dask.array.from_array(y, chunks=150))
    with pytest.raises(ValueError, match="X is a Dask collection and y is ndarray"):
        distributed.fit_on_dask(FFClassifier(8), rows, y)


class Dying(Callback):
    """Ends the process of the second rank."""

    def on_epoch_end(self, net, **kwargs):
        if not net.ranks_.first:
            os._exit(1)


def test_workers_that_have_not_met_can_fit_later(client):
    busy = client.submit(time.sleep, 4, workers=[list(client.run(os.getpid))[-1]], pure=False)
    time.sleep(0.5)
    estimator = FFClassifier(8, **COMMON)
    with pytest.raises(RankError):
        distributed.fit_on_dask(estimator, X, y, timeout=1)
    busy.result()
    found = distributed.fit_on_dask(estimator, X, y, timeout=20)
    np.testing.assert_allclose(found.loss_curve_, estimator.fit(X, y).loss_curve_)


def test_a_worker_that_dies_ends_the_fit(client):
    with pytest.raises(RankError):
        distributed.fit_on_dask(FFClassifier(8, callbacks=[Dying()]), X, y, timeout=20)


def test_workers_in_the_process_of_the_client_are_one_rank():
    estimator = FFClassifier(8, **COMMON)
    local = LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0")
    with local as cluster, Client(cluster, set_as_default=False) as client:
        found = distributed.fit_on_dask(estimator, X, y, client=client)
    assert not hasattr(estimator, "classes_")
    np.testing.assert_allclose(found.loss_curve_, estimator.fit(X, y).loss_curve_)

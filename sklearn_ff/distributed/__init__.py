"""Fits in more than one process, on `torch.distributed`.

The processes, called ranks, are started by `torchrun`, or placed on the workers of a Dask cluster,
and each makes the same call. See docs/distributed.md.
"""

from __future__ import annotations

from typing import Any, TypeVar

from numpy.typing import ArrayLike

from .._typing import MatrixLike
from ._dask import learn_on_workers
from ._group import LONGEST, joined_ranks
from ._layers import learn_layers
from ._rows import learn

__all__ = ["fit", "fit_layers", "fit_on_dask"]

E = TypeVar("E")


def fit(
    estimator: E,
    X: MatrixLike,
    y: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    *,
    X_val: MatrixLike | None = None,
    y_val: ArrayLike | None = None,
    sample_weight_val: ArrayLike | None = None,
    timeout: float = LONGEST,
) -> E | None:
    """Fit an estimator to rows that lie on several ranks; every rank calls it with its own.

    All ranks together learn what one process would from the rows of all, in the order of the ranks:
    the same batches, negatives and updates, up to the rounding of sums. In a program that was
    started as one process it is `estimator.fit`.

    Parameters
    ----------
    estimator : FFClassifier or FFTransformer
        The same on all ranks. That of the first rank is fitted, those of the others stay as they
        are.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows of this rank. Ranks may hold different numbers of rows, or none.
    y : array-like of shape (n_samples,) or None, default=None
        Their labels. A rank need not have rows of every class.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Their weights, which may all be zero where other ranks have more.
    X_val, y_val, sample_weight_val : array-like or None, default=None
        Held-out rows of this rank, scored after every epoch together with those of the others.
    timeout : float, default=50.0
        Seconds that a rank waits for another before it raises RankError.

    Returns
    -------
    estimator : FFClassifier, FFTransformer or None
        On the first rank the fitted estimator, which needs the others no more. None on the others.

    Raises
    ------
    RankError
        Where another rank has failed, has died or is not heard of for `timeout` seconds.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_ff import FFClassifier, distributed
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = distributed.fit(FFClassifier(16, random_state=0), X, y)
    >>> clf.score(X, y) > 0.9
    True
    """
    held_out = X_val, y_val, sample_weight_val
    with joined_ranks(timeout) as group:
        if group is not None:
            return learn(group, estimator, X, y, sample_weight, *held_out)
    given = {
        name: value
        for name, value in zip(("X_val", "y_val", "sample_weight_val"), held_out, strict=True)
        if value is not None
    }
    return estimator.fit(X, y, sample_weight, **given)  # type: ignore[attr-defined]


def fit_layers(
    estimator: E,
    X: MatrixLike | None = None,
    y: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    *,
    timeout: float = LONGEST,
) -> E | None:
    """Fit an estimator whose layers lie on several ranks, a pipeline; every rank calls it.

    The first rank has the rows and the first layer. While it learns from a batch, the next rank
    learns from the one before, and so on. The weights are equal to the bit to those of one process.
    Layers are divided so that the ranks have about the same work.

    Parameters
    ----------
    estimator : FFClassifier or FFTransformer
        That of the first rank counts and is fitted; the others give one too, which stays as it is
        and tells the number of threads only. All layers learn from every batch, without a head,
        dropout, callbacks and early stopping.
    X, y, sample_weight : array-like or None
        As in `estimator.fit`, on the first rank; those of the other ranks are not looked at.
    timeout : float, default=50.0
        Seconds that a rank waits for another before it raises RankError.

    Returns
    -------
    estimator : FFClassifier, FFTransformer or None
        On the first rank the fitted estimator, which needs the others no more. None on the others.

    Raises
    ------
    RankError
        Where another rank has failed, has died or is not heard of for `timeout` seconds.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_ff import FFClassifier, distributed
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = distributed.fit_layers(FFClassifier([16, 16], random_state=0), X, y)
    >>> clf.score(X, y) > 0.9
    True
    """
    with joined_ranks(timeout) as group:
        if group is not None:
            return learn_layers(group, estimator, X, y, sample_weight)
    return estimator.fit(X, y, sample_weight)  # type: ignore[attr-defined]


def fit_on_dask(
    estimator: E,
    X: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    client: Any = None,
    timeout: float = LONGEST,
) -> E:
    """Fit an estimator on the workers of a Dask cluster, as `fit` does on ranks.

    Every process of a worker gets a rank, neighbouring blocks of the rows, and as many threads of
    torch as it has of its own. Their order is kept, so that the fit is that of `fit` with the same
    shares.

    Parameters
    ----------
    estimator : FFClassifier or FFTransformer
        An estimator, which stays as it is.
    X : Dask array or DataFrame, or array-like, of shape (n_samples, n_features)
        Rows. Of a Dask collection the blocks stay on the workers.
    y, sample_weight : Dask array or Series, array-like, or None
        Labels and weights, in blocks like those of X if this is a Dask collection.
    client : distributed.Client or None, default=None
        The client of the cluster; None takes the current one.
    timeout : float, default=50.0
        Seconds that a rank waits for another before it raises RankError.

    Returns
    -------
    estimator : FFClassifier or FFTransformer
        A fitted copy, which needs the cluster no more.

    Raises
    ------
    RankError
        Where a rank has failed, has died or is not heard of for `timeout` seconds.

    Examples
    --------
    >>> from distributed import Client, LocalCluster  # doctest: +SKIP
    >>> from sklearn_ff import FFClassifier, distributed
    >>> with LocalCluster(n_workers=2) as cluster, Client(cluster):  # doctest: +SKIP
    ...     clf = distributed.fit_on_dask(FFClassifier(random_state=0), X, y)
    """
    if client is None:
        from distributed import get_client

        client = get_client()
    given = {"X": X, "y": y, "sample_weight": sample_weight}
    tables = {name: table for name, table in given.items() if table is not None}
    return learn_on_workers(client, estimator, tables, {"timeout": timeout})

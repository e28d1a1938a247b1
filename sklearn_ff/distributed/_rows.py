"""A fit whose rows lie on several ranks: each learns from its own, and their gradients add up."""

from __future__ import annotations

import copy
import hashlib
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array, issparse, vstack
from sklearn.utils import check_random_state

from .._automatic import ONE_BATCH, batch_size
from .._base import BaseFF, fitting, publish
from .._calibration import READ_NUMBERS, calibrated, looked_at, searched, with_settled_rule
from .._checkpoints import Describer, checkpoints_in, told_of
from .._compatibility import check, each_objective
from .._familiarity import fitted_moments, merged_moments
from .._families import given_negatives
from .._fitted import Fitted
from .._input import Data, LabelledRows, Request, read
from .._labels import checked_labels
from .._machine import memory_errors, torch_threads
from .._plan import Plan, make_plan
from .._settings import Settings, settings_of
from .._stored import StoredRows, dense
from .._training import build, train
from .._validation import checked_weight, validate_rows
from ..core.interrupts import deferred_interrupt
from ._group import Group
from ._shares import SharedRows

SENT_NUMBERS = 2**20  # of rows that are sent at once
MAY_DIFFER = ("device", "random_state", "estimator")  # among the ranks; the first one's seed counts


class Rows(NamedTuple):
    """Rows of one rank as they are given, validated."""

    X: Any
    y: Any
    weight: np.ndarray


def learn(
    group: Group,
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    X_val: Any = None,
    y_val: Any = None,
    sample_weight_val: Any = None,
) -> Any:
    """Fit the estimator of the first rank, with the rows of all; None on the others."""
    with group.together():
        refuse_estimator(estimator)
    own = estimator if group.first else copy.copy(estimator)
    with taking_part(group, own):
        with group.together():
            own._validate_params()
            settings = settings_of(own)
            refuse_pool(settings)
            y = y if settings.supervised else None
            rows = validated(own, X, y, sample_weight, reset=True)
            refuse_half(settings, X_val, y_val, sample_weight_val)
            held_out = None
            if X_val is not None:
                held_out = validated(own, X_val, y_val, sample_weight_val, reset=False)
        settings = agreed(group, own, settings, rows)
        data, class_count = shared(group, own, settings, rows, held_out)
        plan = replace(make_plan(settings, data), captures=False)
        check(plan)
        check_shared(plan, own.callbacks)
        fitted = train(plan, *build(plan), data, own.callbacks)
        fitted = finished(group, fitted, data, class_count)
        if group.first:
            publish(own, fitted)
        elif fitted.error is not None:
            raise fitted.error
    return own if group.first else None


@contextmanager
def taking_part(group: Group, estimator: Any) -> Iterator[None]:
    """A fit of the first rank. The others help it, and what they would warn of it says too."""
    if group.first:
        with fitting(estimator, False):
            yield
        return
    with deferred_interrupt(), torch_threads(estimator.n_threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# What is given ------------------------------------------------------------------------------------


def refuse_estimator(estimator: Any) -> None:
    """Raise TypeError or ValueError for an estimator whose fit cannot be divided."""
    if not isinstance(estimator, BaseFF):
        raise TypeError(
            f"{type(estimator).__name__} cannot be fitted on several ranks; give an FFClassifier "
            f"or an FFTransformer, such as the last step of a Pipeline."
        )
    if estimator.warm_start and hasattr(estimator, "_fitted"):
        raise ValueError(
            "warm_start=True goes on from weights that one rank has; set it to False, or give a "
            "new estimator."
        )
    if getattr(estimator, "_skl_callbacks", None):
        raise ValueError(
            "scikit-learn's callbacks, given by set_callbacks, are not told of a fit on several "
            "ranks; remove them, or use callbacks=[...]."
        )


def refuse_pool(settings: Settings) -> None:
    negatives = given_negatives(settings.negatives)
    if negatives is not None and (negatives.own_rows is not None or negatives.held_out is not None):
        raise ValueError(
            f"negatives={negatives!r} draw from a pool of rows, which every rank would need whole; "
            f"use others, or fit in one process."
        )


def refuse_half(settings: Settings, X_val: Any, y_val: Any, sample_weight_val: Any) -> None:
    given = [value is not None for value in (X_val, y_val, sample_weight_val)]
    if any(given) and not (settings.predicts and X_val is not None and y_val is not None):
        raise ValueError(
            "X_val and y_val go together, and sample_weight_val with both, to a classifier; one "
            "of them is missing, or the estimator is none."
        )


def validated(estimator: Any, X: Any, y: Any, sample_weight: Any, reset: bool) -> Rows:
    """Rows of this rank, checked; names of columns are noted on the estimator."""
    if y is not None:
        y = checked_labels(y, "y")
        X, y = validate_rows(estimator, X, y, reset=reset, share=True)
    else:
        X = validate_rows(estimator, X, reset=reset, share=True)
    some = X.shape[0] > 0
    return Rows(X, y, checked_weight(X, sample_weight, share=True) if some else np.zeros(0))


def agreed(group: Group, estimator: Any, settings: Settings, rows: Rows) -> Settings:
    """The settings, with a seed that all ranks have; ValueError where ranks do not fit together."""
    describer = Describer()
    told: dict[str, Any] = {
        name: digest(value)
        for name, value in told_of(settings, describer).items()
        if name not in MAY_DIFFER
    }
    names = getattr(estimator, "feature_names_in_", None)
    told["number of columns"] = rows.X.shape[1]
    told["names of columns"] = None if names is None else digest(list(map(str, names)))
    told["type of X"] = rows.X.dtype.str, issparse(rows.X)
    told["kind of labels"] = None if rows.y is None else rows.y.dtype.kind
    every = group.gather(told)
    different = sorted(name for name in told if len({str(one[name]) for one in every}) > 1)
    if different:
        raise ValueError(
            f"The ranks differ in {', '.join(different)}; give all of them the same estimator, and "
            f"rows of one kind."
        )
    given = settings.random_state
    if given is None and checkpoints_in(estimator.callbacks):
        return settings  # which a Checkpoint refuses
    seed = group.from_first(lambda: seed_of(given))
    return replace(settings, random_state=seed)


def seed_of(random_state: Any) -> int:
    if isinstance(random_state, (int, np.integer)):
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def shared(
    group: Group, estimator: Any, settings: Settings, rows: Rows, held_out: Rows | None
) -> tuple[Data, np.ndarray | None]:
    """What this rank learns from, and the weights of the classes on all ranks.

    Every rank reads the labels and weights of all rows, with the numbers of the rows in their
    place, so that rows are left out, weighed and held out as in one process.
    """
    n, begins, y, weight = joined(group, rows)
    request, begins_val = Request(y, weight), 0
    if any(group.gather(held_out is not None)):
        empty = Rows(rows.X[:0], rows.y[:0], np.zeros(0))
        held_out = empty if held_out is None else held_out
        n_val, begins_val, y_val, weight_val = joined(group, held_out)
        request = Request(y, weight, numbered(n_val), y_val, weight_val)
    if not settings.supervised and batch_size(settings, n) == n <= ONE_BATCH:
        raise ValueError(f"{n} rows without labels are a single batch; fit in one process.")
    stand_in = copy.copy(estimator)
    vars(stand_in).pop("feature_names_in_", None)
    whole = read(stand_in, settings, numbered(n), request)
    here, X = with_one_row(group, *own_rows(whole.X, rows.X, begins))
    ranks = SharedRows(group, len(whole.codes), float(whole.weight.sum()), here)
    kept = whole.held_out
    if kept is not None:
        if held_out is None:  # held out of the rows to learn from
            held_out, begins_val = rows, begins
        some, X_kept = own_rows(kept.X, held_out.X, begins_val)
        kept = LabelledRows(X_kept, kept.codes[some], kept.weight[some])
    counts = None
    if whole.classes is not None:
        counts = np.bincount(whole.codes, whole.copies, minlength=whole.n_classes)
    data = Data(X, whole.codes[here], whole.weight[here], whole.classes, None, kept, ranks)
    return data, counts


def joined(group: Group, rows: Rows) -> tuple[int, int, Any, np.ndarray]:
    """The number of rows of all ranks, of those before this one's, and all labels and weights."""
    every = group.gather((rows.y, rows.weight))
    sizes = [len(weight) for _, weight in every]
    y = None if rows.y is None else np.concatenate([labels for labels, _ in every])
    weight = np.concatenate([weight for _, weight in every])
    return sum(sizes), sum(sizes[: group.rank]), y, weight


def numbered(n: int) -> np.ndarray:
    """Numbers of rows as rows of one column."""
    return np.arange(n, dtype=np.float64)[:, None]


def own_rows(numbers: np.ndarray, X: Any, begins: int) -> tuple[np.ndarray, Any]:
    """Places of this rank's rows among those of some `numbers`, and the rows in that order.

    X are the rows of this rank, the first of which has the number `begins`.
    """
    found = numbers[:, 0].astype(np.int64) - begins
    here = np.flatnonzero((found >= 0) & (found < X.shape[0]))
    found = found[here]
    every = len(found) == X.shape[0] and bool((found == np.arange(len(found))).all())
    return here, X if every else X[found]


def with_one_row(group: Group, here: np.ndarray, X: Any) -> tuple[np.ndarray, Any]:
    """Places and rows of this rank, one at least: where all have no weight, one of another rank."""
    sizes = group.gather(len(here))
    if sum(sizes) < len(sizes):
        raise ValueError(
            f"{sum(sizes)} rows to learn from are too few for {len(sizes)} ranks; start fewer."
        )
    while not all(sizes):
        taker, giver = sizes.index(0), sizes.index(max(sizes))
        own = (here[-1:], in_memory(X[-1:])) if group.rank == giver else None
        given = group.gather(own)[giver]
        if group.rank == giver:
            here, X = here[:-1], X[:-1]
        elif group.rank == taker:
            here, X = given
        sizes[taker], sizes[giver] = 1, sizes[giver] - 1
    return here, X


# What cannot be divided ---------------------------------------------------------------------------


def check_shared(plan: Plan, callbacks: Any) -> None:
    """Raise ValueError where rows of several ranks would not learn as those of one process."""
    settings, negatives = plan.settings, plan.negatives
    remedy = "fit in one process, or choose another"
    if plan.whole_batches:
        raise ValueError(
            "Batch normalisation compares the rows of a batch, of which every rank holds some "
            "only; use norm='group', or fit in one process."
        )
    for objective in each_objective(plan):
        if objective.compares_rows:
            raise ValueError(
                f"objective={objective!r} compares the rows of a batch, of which every rank holds "
                f"some only; {remedy}."
            )
    if plan.augmentation is not None:
        raise ValueError(
            "augmentation varies images by numbers that the ranks cannot share; vary the images "
            "before the fit, or fit in one process."
        )
    if any(kind.draws_globally for kind in plan.kinds):
        raise ValueError(
            "A Module may draw from torch's global generator, which the ranks cannot share; use "
            "layers of this package, or Module(factory, ...) that draws nothing, in one process."
        )
    if settings.scoring is not None:
        raise ValueError(
            f"scoring={settings.scoring!r} cannot be put together from the held-out rows of every "
            f"rank; leave scoring=None, which is the accuracy."
        )
    if checkpoints_in(callbacks) and negatives.redraw == "once":
        raise ValueError(
            f"negatives={negatives!r} are drawn once, by every rank for its own rows, and a "
            f"Checkpoint is written by the first rank; use redraw='epoch'."
        )


# What is known after it ---------------------------------------------------------------------------


def finished(group: Group, fitted: Fitted, data: Data, class_count: np.ndarray | None) -> Fitted:
    """On the first rank, with the scale of probabilities or the moments of all ranks' rows."""
    with memory_errors():
        if not fitted.plan.settings.predicts:
            own = fitted_moments(fitted.network, fitted.plan, data.X, data.copies)
            every = group.gather_first(own)
            return fitted if every is None else replace(fitted, moments=merged_moments(every))
        fitted = with_settled_rule(fitted, data.held_out, partial(on_first, group))
        sample = sampled(group, data)
        return fitted if sample is None else calibrated(fitted, sample, counts=class_count)


def on_first(group: Group, *own: np.ndarray) -> list[np.ndarray] | None:
    """The rows of arrays of all ranks, on the first."""
    every = group.gather_first(own)
    return None if every is None else [*map(np.concatenate, zip(*every, strict=True))]


def sampled(group: Group, data: Data) -> Data | None:
    """The rows of all ranks by which one process would find the scale of probabilities.

    They are on the first rank, once for each class of the rows that are equal to one.
    """
    ranks = data.ranks
    assert isinstance(ranks, SharedRows)
    looked = looked_at(data.n_rows)
    numbers = ranks.row[looked]
    here = np.flatnonzero(numbers >= 0)
    own = numbers[here]
    every = group.gather_first((here, keys_of(data.X, own), data.codes[own], data.copies[own]))
    found = None if every is None else stand_ins(every, data.n_classes)
    chosen = group.from_first(lambda: None if found is None else found[0])
    numbers = numbers[chosen]
    here = np.flatnonzero(numbers >= 0)
    X = brought(group, data.X, numbers[here], here, len(chosen))
    if found is None:
        return None
    labels = found[1]
    X = X if len(labels.row) == len(chosen) else X[labels.row]
    return Data(X, labels.col, labels.data, data.classes)


def stand_ins(every: list[tuple[Any, ...]], n_classes: int) -> tuple[np.ndarray, Any]:
    """The first of equal rows, and the weights of the classes of these: (rows, classes)."""
    here, *others = map(np.concatenate, zip(*every, strict=True))
    keys, codes, weight = (values[np.argsort(here)] for values in others)
    _, first, alike = np.unique(keys, return_index=True, return_inverse=True)
    some = np.argsort(first)[searched(len(first), n_classes)]
    labels = csr_array((weight, (alike, codes)), shape=(len(first), n_classes))
    return first[some], labels[some].tocoo()


def keys_of(X: Any, numbers: np.ndarray) -> np.ndarray:
    """A key for every row with one of the numbers, the same for equal rows on all ranks."""
    size = max(1, READ_NUMBERS // X.shape[1])
    parts = (X[numbers[start : start + size]] for start in range(0, len(numbers), size))
    return np.array([key(*row) for rows in parts for row in contents(rows)], np.uint64)


def contents(rows: Any) -> Iterator[tuple[np.ndarray, ...]]:
    """The arrays that each row is made of."""
    if not issparse(rows):
        return zip(dense(rows), strict=True)
    ends = rows.indptr[1:-1]
    indices = rows.indices.astype(np.int64)  # whose type may differ among the ranks
    return zip(np.split(indices, ends), np.split(rows.data, ends), strict=True)


def key(*row: np.ndarray) -> int:
    content = b"".join(part.tobytes() for part in row)
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def brought(group: Group, X: Any, numbers: np.ndarray, places: np.ndarray, n: int) -> Any:
    """On the first rank n rows of all ranks: those of X with these numbers are at these places.

    Dense ones are sent a few at a time, so that no more than one copy of all is in memory.
    """
    size = n if issparse(X) else max(1, SENT_NUMBERS // X.shape[1])
    found = np.empty((n, X.shape[1]), X.dtype) if group.first and not issparse(X) else None
    for start in range(0, n, size):
        begin, end = np.searchsorted(places, [start, start + size])
        own = places[begin:end], in_memory(X[numbers[begin:end]])
        every = group.gather_first(own)
        if every is not None and found is None:
            at, rows = zip(*every, strict=True)
            return vstack(rows).tocsr()[np.argsort(np.concatenate(at))]
        for at, rows in every or ():
            found[at] = rows  # type: ignore[index]
    return None if found is None else StoredRows(found)  # of which no index makes a copy


def in_memory(rows: Any) -> Any:
    """Rows that can be sent; sparse ones stay so."""
    return rows if issparse(rows) else dense(rows)

"""A fit whose ranks are placed on the workers of a Dask cluster, one in each process."""

from __future__ import annotations

import copy
import os
import platform
from concurrent.futures import CancelledError
from typing import Any

import numpy as np
import torch.distributed as dist
from scipy.sparse import issparse, vstack
from sklearn.utils import _safe_indexing

from .._machine import torch_threads
from ..exceptions import RankError
from ._group import Group, lost, start
from ._rows import learn


def learn_on_workers(
    client: Any, estimator: Any, tables: dict[str, Any], options: dict[str, Any]
) -> Any:
    """Fit on the workers, each with a share of the rows, and return the estimator of the first.

    `tables` are X, and y and sample_weight where they are given.
    """
    from distributed import KilledWorker, as_completed

    workers = processes(client)
    shares = in_shares(client, tables, workers)
    workers = workers[: len(shares)]
    address = meeting_place(client, workers[0]) if len(shares) > 1 else None
    tasks = []
    for rank, share in enumerate(shares):
        place = {"rank": rank, "world_size": len(shares), "init_method": address}
        run = run_rank, estimator, [*tables], share, place, options
        tasks.append(client.submit(*run, workers=[workers[rank]], pure=False, retries=0))
    try:
        for task in as_completed(tasks):
            task.result()  # raises what a rank has raised
        return tasks[0].result()
    except (CancelledError, KilledWorker) as error:
        raise RankError(
            "A worker has left the cluster, and the fit has ended with it; begin it again on those "
            "that are left."
        ) from error
    finally:
        client.cancel(tasks)


def processes(client: Any) -> list[str]:
    """Addresses of workers, one of each process."""
    found = client.run(process)
    if not found:
        raise ValueError("The Dask cluster has no workers yet; start some, or wait for them.")
    return list({name: worker for worker, name in sorted(found.items(), reverse=True)}.values())[
        ::-1
    ]


def process() -> tuple[str, int]:
    return platform.node(), os.getpid()


def meeting_place(client: Any, worker: str) -> str:
    """An address on the machine of a worker, where ranks find each other."""
    host = worker.partition("://")[2].rpartition(":")[0]
    port = client.submit(free_port, host, workers=[worker], pure=False).result()
    return f"tcp://{host}:{port}"


def free_port(host: str) -> int:
    """A port of this worker's machine that is free now."""
    return dist.TCPStore(host, 0, is_master=True, wait_for_workers=False).port


# Rows ---------------------------------------------------------------------------------------------


def in_shares(client: Any, tables: dict[str, Any], workers: list[str]) -> list[list[Any]]:
    """For every worker that gets rows, the blocks of each table, which lie or come there."""
    if hasattr(tables["X"], "to_delayed"):
        blocks = [blocks_of(name, table) for name, table in tables.items()]
        n = len(blocks[0])
        for name, some in zip(tables, blocks, strict=True):
            if len(some) != n:
                raise ValueError(
                    f"X has {n} blocks of rows and {name} {len(some)}; give both the same, as by "
                    f"rechunk or repartition."
                )
        parts = np.array_split(np.arange(n), min(n, len(workers)))
        places = [worker for worker, part in zip(workers, parts, strict=False) for _ in part]
        blocks = [
            [
                client.compute(block, workers=[place])
                for block, place in zip(some, places, strict=True)
            ]
            for some in blocks
        ]
        return [[[some[index] for index in part] for some in blocks] for part in parts]
    n = tables["X"].shape[0] if hasattr(tables["X"], "shape") else len(tables["X"])
    parts = np.array_split(np.arange(n), min(n, len(workers)))
    return [
        [
            [client.scatter(_safe_indexing(table, part), workers=[worker], hash=False)]
            for table in tables.values()
        ]
        for worker, part in zip(workers, parts, strict=False)
    ]


def blocks_of(name: str, table: Any) -> list[Any]:
    """The blocks of rows of a Dask array or frame."""
    if not hasattr(table, "to_delayed"):
        raise ValueError(
            f"X is a Dask collection and {name} is {type(table).__name__}; give Dask collections, "
            f"or arrays."
        )
    if getattr(table, "ndim", 1) == 2 and hasattr(table, "rechunk"):
        table = table.rechunk({1: -1})
    return np.ravel(np.asarray(table.to_delayed(), dtype=object)).tolist()


def whole(blocks: list[Any]) -> Any:
    """Blocks of rows as one table."""
    if len(blocks) == 1:
        return blocks[0]
    if issparse(blocks[0]):
        return vstack(blocks).tocsr()
    if hasattr(blocks[0], "iloc"):
        import pandas

        return pandas.concat(blocks)
    return np.concatenate(blocks)


# A rank -------------------------------------------------------------------------------------------


def run_rank(
    estimator: Any,
    names: list[str],
    share: list[Any],
    place: dict[str, Any],
    options: dict[str, Any],
) -> Any:
    """What a worker does: fit together with the others, by as many threads as are its own."""
    from distributed import get_worker

    given = dict(zip(names, map(whole, share), strict=True))
    rows = [given.get(name) for name in ("X", "y", "sample_weight")]
    with torch_threads(get_worker().state.nthreads):
        if place["world_size"] == 1:
            return copy.deepcopy(estimator).fit(*rows)  # as the client may be in this process
        with lost():
            start(options["timeout"], **place)
        try:
            with lost():
                group = Group(options["timeout"])
            try:
                return learn(group, estimator, *rows)
            finally:
                group.close()
        finally:  # so that the worker can take part in another fit
            dist.destroy_process_group()

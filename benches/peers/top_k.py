"""The exact k best beside its peers, one thread each, in one run.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install numpy scipy faiss-cpu implicit hnswlib usearch
    /tmp/peers/bin/python benches/peers/top_k.py [arguments of `cargo bench --bench top_k --`]

Runs the benchmark, which writes its catalogues to a temporary folder, and asks every peer the same
queries. faiss and implicit are exact; hnswlib and usearch are not, so their recall stands beside
their time. Peers without a filter for seen items are asked without it.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import faiss
import hnswlib
import implicit
import numpy as np
import scipy.sparse
from usearch.index import Index

K = 10
SECONDS_PER_FIGURE = 2.0
# Graphs of more items than this take minutes to build.
GRAPH_ITEMS_MAX = 100_000


def matrix(path):
    data = path.read_bytes()
    rows, columns = np.frombuffer(data[:8], np.uint32)
    return np.frombuffer(data[8:], np.float32).reshape(rows, columns)


def seen_rows(path, queries):
    words = np.frombuffer(path.read_bytes(), np.uint32)
    starts, rows = words[: queries + 1], words[queries + 1 :]
    return [rows[a:b] for a, b in zip(starts, starts[1:])]


def median_us(ask, queries):
    ask(0)
    times, begun, at = [], time.perf_counter(), 0
    while time.perf_counter() - begun < SECONDS_PER_FIGURE and len(times) < 20_000:
        started = time.perf_counter()
        ask(at % queries)
        times.append(time.perf_counter() - started)
        at += 1
    return np.median(times) * 1e6


def recall(found, exact):
    return np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, exact)])


def compare(stem):
    items, queries = matrix(stem.with_suffix(".items")), matrix(stem.with_suffix(".queries"))
    seen = seen_rows(stem.with_suffix(".seen"), len(queries))
    count, dim = items.shape
    ones = [queries[at : at + 1] for at in range(len(queries))]

    flat = faiss.IndexFlatIP(dim)
    flat.add(items)
    yield "faiss IndexFlatIP", median_us(lambda at: flat.search(ones[at], K), len(ones)), 1.0
    exact = flat.search(queries[:100], K)[1]

    model = implicit.als.AlternatingLeastSquares(factors=dim, num_threads=1)
    model.user_factors, model.item_factors = queries, items
    liked = scipy.sparse.csr_matrix(
        (
            np.ones(sum(map(len, seen)), np.float32),
            np.concatenate(seen).astype(np.int32),
            np.cumsum([0] + [len(rows) for rows in seen]),
        ),
        shape=(len(queries), count),
    )
    rows = [liked[at] for at in range(len(queries))]
    yield (
        "implicit recommend, seen left out",
        median_us(lambda at: model.recommend(at, rows[at], N=K), len(ones)),
        1.0,
    )
    if count > GRAPH_ITEMS_MAX:
        return

    graph = hnswlib.Index(space="ip", dim=dim)
    graph.init_index(max_elements=count, M=16, ef_construction=200)
    graph.set_num_threads(1)
    graph.add_items(items)
    graph.set_ef(64)
    found = [graph.knn_query(one, k=K)[0][0] for one in ones[:100]]
    yield (
        "hnswlib, M 16, ef 64",
        median_us(lambda at: graph.knn_query(ones[at], k=K), len(ones)),
        recall(found, exact),
    )

    graph = Index(ndim=dim, metric="ip", dtype="f32")
    graph.add(np.arange(count), items, threads=1)
    found = [graph.search(one[0], K).keys for one in ones[:100]]
    yield (
        "usearch, defaults",
        median_us(lambda at: graph.search(ones[at][0], K, threads=1), len(ones)),
        recall(found, exact),
    )


def main():
    faiss.omp_set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ, RECANT_BENCH_EXPORT=folder)
        command = ["cargo", "bench", "--bench", "top_k", "--", *sys.argv[1:]]
        subprocess.run(command, env=environment, check=True)
        for path in sorted(pathlib.Path(folder).glob("*.items")):
            print(path.stem)
            for name, time_us, share in compare(path):
                print(f"  {name:36} {time_us:10.1f} µs   recall {share:.3f}", flush=True)


if __name__ == "__main__":
    main()

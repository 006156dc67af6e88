"""Products of float matrices: Croton beside OpenBLAS and, if installed, PyTorch and JAX.

    python benchmarks/product.py [--threads 2] [--dtype float64] [--peers PYTHON]

Each line is a product of M x K by K x N; the letters say how the factors lie (n: by
rows, t: by columns).  Times are of whole calls from Python, the best of many, in
microseconds, and beside them the speed in billions of operations a second.  The
candidates take turns, so that a busy machine is unkind to all of them.
"""

import argparse
import ctypes
import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

SIZES = [
    (16, 16, 16, "nn"),
    (32, 32, 32, "nn"),
    (64, 64, 64, "nn"),
    (256, 256, 256, "nn"),
    (256, 256, 256, "tn"),
    (256, 256, 256, "nt"),
    (1024, 1024, 1024, "nn"),
    (128, 625, 784, "nn"),
    (128, 625, 625, "nt"),
    (784, 625, 128, "tn"),
    (128, 10, 784, "nn"),
    (784, 10, 128, "tn"),
    (128, 784, 10, "nt"),
    (32, 512, 128, "nn"),
    (32, 128, 512, "nt"),
    (128, 512, 3200, "tn"),
    (1, 1000, 1000, "nn"),
    (1, 1000, 1000, "nt"),
    (1000, 1, 1000, "nn"),
    (8, 1000, 1000, "nn"),
]

PEER = """
import json, sys, time
import numpy as np
sizes, dtype, threads, name = json.loads(sys.argv[1])
if name == "torch":
    import torch
    torch.set_num_threads(threads)
    multiply = torch.matmul
    put = torch.from_numpy
    wait = lambda x: x
else:
    import jax
    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp
    multiply = jax.jit(jnp.matmul)
    put = jnp.asarray
    wait = lambda x: x.block_until_ready()
found = []
for m, n, k, layout in sizes:
    rng = np.random.default_rng(0)
    shapes = [(m, k), (k, n)]
    a, b = (
        put(rng.standard_normal(s if l == "n" else s[::-1]).astype(dtype))
        for s, l in zip(shapes, layout)
    )
    if name == "torch":
        a, b = (x if l == "n" else x.T for x, l in zip((a, b), layout))
        f = lambda: multiply(a, b)
    else:
        lie = lambda x, letter: x if letter == "n" else x.T
        g = jax.jit(lambda a, b, l=layout: lie(a, l[0]) @ lie(b, l[1]))
        f = lambda: wait(g(a, b))
    f()
    best, end = 1e9, time.perf_counter() + 0.7
    while time.perf_counter() < end:
        count = max(1, int(2e6 / (m * n * k)))
        start = time.perf_counter()
        for _ in range(count):
            f()
        best = min(best, (time.perf_counter() - start) / count)
    found.append(best)
print(json.dumps(found))
"""


def openblas(threads: int) -> Callable[..., Callable[[], object]] | None:
    """A function that multiplies with scipy-openblas32 into given memory, or None."""
    os.environ.setdefault("OPENBLAS_CORETYPE", "SKYLAKEX")
    try:
        import scipy_openblas32
    except ImportError:
        return None
    folder, name = scipy_openblas32.get_lib_dir(), scipy_openblas32.get_library(fullname=True)
    library = ctypes.CDLL(os.path.join(folder, name))
    prefix = "scipy_" if hasattr(library, "scipy_cblas_sgemm") else ""
    getattr(library, prefix + "openblas_set_num_threads")(threads)

    def prepare(a: Any, b: Any, c: Any, layout: str) -> Callable[[], object]:
        size = c.itemsize
        gemm = getattr(library, prefix + ("cblas_sgemm" if size == 4 else "cblas_dgemm"))
        real = ctypes.c_float if size == 4 else ctypes.c_double
        row, plain, turned = 101, 111, 112
        orders = [plain if letter == "n" else turned for letter in layout]
        (m, n), k = c.shape, a.shape[0 if layout[0] == "t" else 1]
        pointers = [ctypes.c_void_p(x.ctypes.data) for x in (a, b, c)]
        return lambda: gemm(
            row, *orders, m, n, k, real(1),
            pointers[0], a.shape[1], pointers[1], b.shape[1], real(0), pointers[2], n,
        )  # fmt: skip

    return prepare


def best_of(
    candidates: Sequence[Callable[[], object]], operations: int, seconds: float
) -> list[float]:
    """The best time of a call of each candidate; they take turns."""
    count = max(1, int(4e6 / operations))
    best = [1e9] * len(candidates)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for number, call in enumerate(candidates):
            start = time.perf_counter()
            for _ in range(count):
                call()
            best[number] = min(best[number], (time.perf_counter() - start) / count)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--peers", help="a Python that has PyTorch and JAX")
    parser.add_argument("--seconds", type=float, default=1.5, help="for each product")
    args = parser.parse_args()
    os.environ["CROTON_FLAGS"] = f"threads={args.threads},floatX={args.dtype}"
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(args.threads)
    prepare = openblas(args.threads)

    import numpy as np

    import croton
    import croton.tensor as T

    names = ["croton"] + (["openblas"] if prepare else [])
    others: dict[str, list[float]] = {}
    for name in ("torch", "jax") if args.peers else ():
        task = json.dumps([SIZES, args.dtype, args.threads, name])
        environment = dict(os.environ)
        if name == "jax" and args.threads == 1:
            flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
            environment["XLA_FLAGS"] = flags
        done = subprocess.run(
            [args.peers, "-c", PEER, task], capture_output=True, text=True, env=environment
        )
        if done.returncode:
            print(f"{name}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        else:
            others[name] = json.loads(done.stdout.splitlines()[-1])
    x, y = T.matrices("xy") if args.dtype == "float64" else T.fmatrices("xy")
    kinds = {
        "nn": (x, y),
        "tn": (x.T, y),
        "nt": (x, y.T),
    }
    functions = {
        layout: croton.function([croton.In(v, borrow=True) for v in (x, y)], T.dot(*factors))
        for layout, factors in kinds.items()
    }
    print(f"{'M':>5} {'N':>5} {'K':>5}    " + "".join(f"{n:>18}" for n in (*names, *others)))
    for number, (m, n, k, layout) in enumerate(SIZES):
        rng = np.random.default_rng(0)
        a, b = (
            rng.standard_normal(s if letter == "n" else s[::-1]).astype(args.dtype)
            for s, letter in zip(((m, k), (k, n)), layout, strict=True)
        )
        c = np.zeros((m, n), args.dtype)
        f = functions[layout]
        candidates: list[Callable[[], object]] = [functools.partial(f, a, b)]
        if prepare:
            candidates.append(prepare(a, b, c, layout))
        operations = 2 * m * n * k
        times = best_of(candidates, operations, args.seconds)
        times += [found[number] for found in others.values()]
        columns = "".join(f"{t * 1e6:10.2f} ({operations / t / 1e9:5.1f})" for t in times)
        print(f"{m:5} {n:5} {k:5} {layout}{columns}", flush=True)


if __name__ == "__main__":
    main()

"""Products of float matrices: Croton beside OpenBLAS and, if installed, PyTorch and JAX.

    python benchmarks/product.py [--threads 2] [--dtype float64] [--peers PYTHON]

Each line is a product of M x K by K x N; the letters say how the factors lie (n: by
rows, t: by columns).  Times are of whole calls from Python, the best of many, in
microseconds, and beside them the speed in billions of operations a second.  Every
candidate has a process of its own, so that no library's waiting threads are in another's way.
"""

import argparse
import ctypes
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SIZES = [
    (16, 16, 16, "nn"),
    (32, 32, 32, "nn"),
    (64, 64, 64, "nn"),
    (256, 256, 256, "nn"),
    (256, 256, 256, "tn"),
    (256, 256, 256, "nt"),
    (1024, 1024, 1024, "nn"),
    (2048, 2048, 2048, "nn"),
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

Call = Callable[[], object]
#: Makes the call that multiplies two arrays, each given as it lies in memory.
Prepare = Callable[[Any, Any, str], Call]


def with_croton(threads: int, dtype: str) -> Prepare:
    """By compiled functions."""
    os.environ["CROTON_FLAGS"] = f"threads={threads},floatX={dtype}"
    croton = importlib.import_module("croton")
    tensor = importlib.import_module("croton.tensor")
    x, y = tensor.tensor(dtype, (None, None)), tensor.tensor(dtype, (None, None))
    functions = {
        layout: croton.function(
            [croton.In(v, borrow=True) for v in (x, y)],
            tensor.dot(x if layout[0] == "n" else x.T, y if layout[1] == "n" else y.T),
        )
        for layout in ("nn", "nt", "tn")
    }
    return lambda a, b, layout: lambda: functions[layout](a, b)


def with_openblas(threads: int, dtype: str) -> Prepare:
    """By scipy-openblas32, with the core type that fits the CPU, into given memory."""
    core_type = importlib.import_module("croton.runtime.blas").core_type()
    if core_type:
        os.environ["OPENBLAS_CORETYPE"] = core_type
    package = importlib.import_module("scipy_openblas32")
    name = package.get_library(fullname=True)
    library = ctypes.CDLL(os.path.join(package.get_lib_dir(), name))
    prefix = "scipy_" if hasattr(library, "scipy_cblas_sgemm") else ""
    getattr(library, prefix + "openblas_set_num_threads")(threads)
    single = dtype == "float32"
    gemm = getattr(library, prefix + ("cblas_sgemm" if single else "cblas_dgemm"))
    real = ctypes.c_float if single else ctypes.c_double
    by_rows, plain, turned = 101, 111, 112

    def prepare(a: Any, b: Any, layout: str) -> Call:
        orders = [plain if letter == "n" else turned for letter in layout]
        m, k = a.shape if layout[0] == "n" else a.shape[::-1]
        n = b.shape[1] if layout[1] == "n" else b.shape[0]
        c = np.zeros((m, n), dtype)
        pointers = [ctypes.c_void_p(x.ctypes.data) for x in (a, b, c)]

        def call(keep: object = (a, b, c)) -> object:
            return gemm(
                by_rows, *orders, m, n, k, real(1), pointers[0], a.shape[1],
                pointers[1], b.shape[1], real(0), pointers[2], n,
            )  # fmt: skip

        return call

    return prepare


def with_torch(threads: int, dtype: str) -> Prepare:
    """By PyTorch's matmul."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(threads)

    def prepare(a: Any, b: Any, layout: str) -> Call:
        pair = zip((torch.from_numpy(a), torch.from_numpy(b)), layout, strict=True)
        x, y = (v if letter == "n" else v.T for v, letter in pair)
        return lambda: torch.matmul(x, y)

    return prepare


def with_jax(threads: int, dtype: str) -> Prepare:
    """By JAX's matmul, compiled for each size."""
    if threads == 1:
        os.environ["XLA_FLAGS"] = (
            "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        )
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)

    def prepare(a: Any, b: Any, layout: str) -> Call:
        turn = [letter == "t" for letter in layout]
        f = jax.jit(lambda x, y: (x.T if turn[0] else x) @ (y.T if turn[1] else y))
        x, y = jax.numpy.asarray(a), jax.numpy.asarray(b)
        return lambda: f(x, y).block_until_ready()

    return prepare


CANDIDATES = {
    "croton": with_croton,
    "openblas": with_openblas,
    "torch": with_torch,
    "jax": with_jax,
}


def best(call: Call, operations: int, seconds: float) -> float:
    """The best time of a call."""
    call()
    count, found = max(1, int(4e6 / operations)), 1e9
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(count):
            call()
        found = min(found, (time.perf_counter() - start) / count)
    return found


def measure(name: str, threads: int, dtype: str, seconds: float) -> list[float]:
    """The times of a candidate, in this process."""
    prepare, times = CANDIDATES[name](threads, dtype), []
    for m, n, k, layout in SIZES:
        rng = np.random.default_rng(0)
        a, b = (
            rng.standard_normal(s if letter == "n" else s[::-1]).astype(dtype)
            for s, letter in zip(((m, k), (k, n)), layout, strict=True)
        )
        times.append(best(prepare(a, b, layout), 2 * m * n * k, seconds))
    return times


def main() -> None:
    """Start a process for each candidate and print their times side by side."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--peers", help="a Python that has PyTorch and JAX")
    parser.add_argument("--seconds", type=float, default=0.5, help="for each product")
    parser.add_argument("--candidate", choices=CANDIDATES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.candidate:
        print(json.dumps(measure(args.candidate, args.threads, args.dtype, args.seconds)))
        return
    pythons = {"croton": sys.executable, "openblas": sys.executable}
    if args.peers:
        pythons |= {"torch": args.peers, "jax": args.peers}
    threads = {n: str(args.threads) for n in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    found: dict[str, list[float]] = {}
    for name, python in pythons.items():
        command = [python, __file__, "--candidate", name, "--threads", str(args.threads)]
        command += ["--dtype", args.dtype, "--seconds", str(args.seconds)]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | threads)
        if done.returncode:
            print(f"{name}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        else:
            found[name] = json.loads(done.stdout.splitlines()[-1])
    print(f"{'M':>5} {'N':>5} {'K':>5}    " + "".join(f"{n:>18}" for n in found))
    for number, (m, n, k, layout) in enumerate(SIZES):
        times = [found[name][number] for name in found]
        columns = "".join(f"{t * 1e6:10.2f} ({2 * m * n * k / t / 1e9:5.1f})" for t in times)
        print(f"{m:5} {n:5} {k:5} {layout}{columns}")


if __name__ == "__main__":
    main()

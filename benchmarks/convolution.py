"""Convolutions of float32 images: Croton beside PyTorch, over the shapes that networks have.

    python benchmarks/convolution.py --peers PYTHON [--threads 2] [--only 3x3] [--passes fwd,dx]

Each line is a convolution and a pass over it: ``fwd`` computes the result, ``dx`` the
gradient by the image, ``dw`` the gradient by the filters.  Both libraries are measured
with images that lie channels first and channels last in memory, and the better time of
each counts.  Every library has a process of its own; a shape is measured in one, then in
the other, and again, and the median of the rounds is shown.  Results are compared before
anything is timed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

PASSES = ("fwd", "dx", "dw")
LAYOUTS = ("first", "last")


@dataclass(frozen=True)
class Shape:
    """A convolution: square images and filters."""

    network: str
    batch: int
    channels: int
    size: int
    filters: int
    kernel: int
    stride: int = 1
    pad: int = 0
    dilation: int = 1
    groups: int = 1

    @property
    def positions(self) -> int:
        """Rows of the result, and columns."""
        reach = (self.kernel - 1) * self.dilation + 1
        return (self.size + 2 * self.pad - reach) // self.stride + 1

    @property
    def operations(self) -> float:
        """Multiplications and additions of each pass."""
        each = self.channels // self.groups * self.kernel**2
        return 2.0 * self.batch * self.filters * self.positions**2 * each

    def text(self) -> str:
        """The shape in a line."""
        found = f"{self.batch}x{self.channels}x{self.size} {self.kernel}x{self.kernel}"
        found += f" -> {self.filters}"
        for letter, value, usual in (
            ("s", self.stride, 1),
            ("p", self.pad, 0),
            ("d", self.dilation, 1),
            ("g", self.groups, 1),
        ):
            found += f" {letter}{value}" if value != usual else ""
        return found


SHAPES = [
    Shape("digits", 128, 1, 28, 32, 3, pad=2),
    Shape("digits", 128, 32, 15, 64, 3),
    Shape("digits", 128, 64, 6, 128, 3),
    Shape("lenet", 64, 1, 28, 6, 5, pad=2),
    Shape("lenet", 64, 6, 14, 16, 5),
    Shape("resnet", 1, 3, 224, 64, 7, stride=2, pad=3),
    Shape("resnet", 8, 3, 224, 64, 7, stride=2, pad=3),
    Shape("resnet", 1, 64, 56, 64, 3, pad=1),
    Shape("resnet", 8, 64, 56, 64, 3, pad=1),
    Shape("resnet", 8, 64, 56, 128, 3, stride=2, pad=1),
    Shape("resnet", 8, 64, 56, 128, 1, stride=2),
    Shape("resnet", 1, 128, 28, 128, 3, pad=1),
    Shape("resnet", 16, 128, 28, 128, 3, pad=1),
    Shape("resnet", 1, 256, 14, 256, 3, pad=1),
    Shape("resnet", 32, 256, 14, 256, 3, pad=1),
    Shape("resnet", 1, 512, 7, 512, 3, pad=1),
    Shape("resnet", 8, 512, 7, 512, 3, pad=1),
    Shape("resnet50", 8, 64, 56, 256, 1),
    Shape("resnet50", 8, 256, 56, 64, 1),
    Shape("resnet50", 8, 512, 28, 128, 1),
    Shape("resnet50", 8, 1024, 14, 256, 1),
    Shape("resnet50", 32, 512, 7, 2048, 1),
    Shape("resnet50", 1, 2048, 7, 512, 1),
    Shape("vgg", 1, 3, 224, 64, 3, pad=1),
    Shape("vgg", 1, 64, 224, 64, 3, pad=1),
    Shape("vgg", 2, 128, 112, 128, 3, pad=1),
    Shape("vgg", 4, 512, 14, 512, 3, pad=1),
    Shape("googlenet", 8, 192, 28, 96, 1),
    Shape("googlenet", 8, 96, 28, 128, 3, pad=1),
    Shape("googlenet", 8, 16, 28, 32, 5, pad=2),
    Shape("googlenet", 32, 48, 7, 128, 5, pad=2),
    Shape("alexnet", 8, 3, 224, 64, 11, stride=4, pad=2),
    Shape("dilated", 4, 64, 56, 64, 3, pad=2, dilation=2),
    Shape("dilated", 2, 256, 28, 256, 3, pad=4, dilation=4),
    Shape("resnext", 8, 128, 56, 128, 3, pad=1, groups=32),
    Shape("resnext", 8, 512, 14, 512, 3, pad=1, groups=32),
    Shape("alexnet", 16, 96, 27, 256, 5, pad=2, groups=2),
    Shape("mobilenet", 1, 32, 112, 32, 3, pad=1, groups=32),
    Shape("mobilenet", 16, 64, 112, 64, 3, stride=2, pad=1, groups=64),
    Shape("mobilenet", 16, 256, 28, 256, 3, pad=1, groups=256),
    Shape("mobilenet", 64, 512, 14, 512, 3, pad=1, groups=512),
    Shape("convnext", 4, 96, 56, 96, 7, pad=3, groups=96),
    Shape("odd", 7, 13, 37, 19, 3, pad=1),
    Shape("odd", 3, 17, 41, 23, 5, stride=3, pad=1),
    Shape("odd", 5, 30, 19, 50, 2),
    Shape("odd", 2, 5, 101, 7, 9, pad=4),
    Shape("odd", 16, 33, 17, 65, 1),
    Shape("odd", 128, 3, 32, 10, 3, pad=1),
]

Call = Callable[[], Any]


def data(shape: Shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The image, the filters and the gradient by the result, channels first."""
    rng = np.random.default_rng(0)
    s = shape

    def noise(*sizes: int) -> np.ndarray:
        return placed(rng.standard_normal(sizes, dtype=np.float32))

    return (
        noise(s.batch, s.channels, s.size, s.size),
        noise(s.filters, s.channels // s.groups, s.kernel, s.kernel),
        noise(s.batch, s.filters, s.positions, s.positions),
    )


def placed(x: np.ndarray) -> np.ndarray:
    """A copy that begins with a cache line, as both libraries' own arrays do, not NumPy's."""
    memory = np.empty(x.nbytes + 64, np.uint8)
    start = -memory.ctypes.data % 64
    copy: np.ndarray = memory[start : start + x.nbytes].view(x.dtype).reshape(x.shape)
    copy[...] = x
    return copy


def last(x: np.ndarray) -> np.ndarray:
    """The same image, channels last in memory and in its shape."""
    return placed(x.transpose(0, 2, 3, 1))


def with_croton(threads: int) -> Any:
    """Compiled functions of images and filters; channels last, a dimshuffle on each side."""
    os.environ["CROTON_FLAGS"] = f"threads={threads},floatX=float32"
    croton = importlib.import_module("croton")
    tensor = importlib.import_module("croton.tensor")

    def prepare(shape: Shape, which: str, layout: str) -> Call:
        s, nnet = shape, tensor.nnet
        x, w, dy = tensor.ftensor4s("x", "w", "dy")
        turned = layout == "last"
        image, gradient = (v.dimshuffle(0, 3, 1, 2) if turned else v for v in (x, dy))
        options = {
            "border_mode": (s.pad, s.pad),
            "subsample": (s.stride, s.stride),
            "filter_flip": False,
            "filter_dilation": (s.dilation, s.dilation),
            "num_groups": s.groups,
        }
        sizes = (None, None, s.size, s.size)
        taps = (None, None, s.kernel, s.kernel)
        if which == "fwd":
            inputs, out = (x, w), nnet.conv2d(image, w, filter_shape=taps, **options)
        elif which == "dx":
            inputs = (dy, w)
            out = nnet.conv2d_grad_wrt_inputs(gradient, w, sizes, taps, **options)
        else:
            inputs = (x, dy)
            out = nnet.conv2d_grad_wrt_weights(image, gradient, taps, **options)
        if turned and which != "dw":
            out = out.dimshuffle(0, 2, 3, 1)
        f = croton.function([croton.In(v, borrow=True) for v in inputs], out)
        arrays = dict(zip((x, w, dy), data(s), strict=True))
        given = [last(arrays[v]) if turned and v is not w else arrays[v] for v in inputs]
        return lambda: f(*given)

    def read(out: Any, which: str, layout: str) -> np.ndarray:
        found: np.ndarray = np.asarray(out)
        turned = layout == "last" and which != "dw"
        return found.transpose(0, 3, 1, 2) if turned else found

    return prepare, read


def with_torch(threads: int) -> Any:
    """PyTorch's functions; channels last, its memory format of that name for all tensors."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    formats = {"first": torch.contiguous_format, "last": torch.channels_last}

    def prepare(shape: Shape, which: str, layout: str) -> Call:
        s = shape
        x, w, dy = (
            torch.from_numpy(v).contiguous(memory_format=formats[layout]) for v in data(shape)
        )
        stride, pad, dilation = ([n, n] for n in (s.stride, s.pad, s.dilation))
        if which == "fwd":
            return lambda: torch.conv2d(x, w, None, stride, pad, dilation, s.groups)
        mask = [which == "dx", which == "dw", False]
        back, none = torch.ops.aten.convolution_backward, [0, 0]
        return lambda: back(
            dy, x, w, None, stride, pad, dilation, False, none, s.groups, mask
        )[which == "dw"]  # fmt: skip

    def read(out: Any, which: str, layout: str) -> np.ndarray:
        return np.asarray(out.numpy())

    return prepare, read


CANDIDATES = {"croton": with_croton, "torch": with_torch}


def median(call: Call, seconds: float) -> float:
    """The median time of a call, in seconds."""
    start = time.perf_counter()
    call()
    once = time.perf_counter() - start
    count = max(1, int(0.002 / max(once, 1e-7)))
    found: list[float] = []
    end = time.perf_counter() + seconds
    while len(found) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(count):
            call()
        found.append((time.perf_counter() - start) / count)
        if time.perf_counter() > end + 5 * seconds:
            break
    return statistics.median(found)


def fingerprint(out: np.ndarray) -> list[float]:
    """A few numbers of a result: its length as a vector, and how it lies to a random one."""
    flat = np.ascontiguousarray(out, np.float64).ravel()
    noise = np.random.default_rng(1).standard_normal(flat.size)
    return [float(np.linalg.norm(flat)), float(flat @ noise)]


def serve(name: str, threads: int) -> None:
    """Answer requests, one a line, until there are no more: a candidate's process."""
    prepare, read = CANDIDATES[name](threads)
    calls: dict[str, Call] = {}
    for line in sys.stdin:
        request = json.loads(line)
        which, layout = request["pass"], request["layout"]
        answer: dict[str, Any]
        try:
            if request["first"]:
                calls.clear()
                calls[line] = prepare(Shape(**request["shape"]), which, layout)
                answer = {"seen": fingerprint(read(calls[line](), which, layout))}
            else:
                call = next(iter(calls.values()))
                # The other process's threads may still be looking for work.
                time.sleep(0.005)
                answer = {"time": median(call, request["seconds"])}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print("ANSWER " + json.dumps(answer), flush=True)


class Candidate:
    """A library in a process of its own."""

    def __init__(self, name: str, python: str, threads: int) -> None:
        self.name = name
        command = [python, __file__, "--candidate", name, "--threads", str(threads)]
        limits = {n: str(threads) for n in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        # OpenBLAS's threads, which NumPy uses, else look for work for 2**26 cycles.
        limits["OPENBLAS_THREAD_TIMEOUT"] = "18"
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | limits,
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to a request."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("ANSWER "):
                found: dict[str, Any] = json.loads(line[7:])
                return found
        raise SystemExit(f"the process of {self.name} ended")


def same(a: list[float], b: list[float]) -> bool:
    """Whether two fingerprints are of equal results, up to rounding."""
    length = max(a[0], b[0])
    return abs(a[0] - b[0]) < 1e-4 * length and abs(a[1] - b[1]) < 1e-4 * length


def compare(
    candidates: list[Candidate], shape: Shape, which: str, rounds: int, seconds: float
) -> dict[tuple[str, str], float | str]:
    """The time of each candidate with each layout, or what was wrong."""
    found: dict[tuple[str, str], float | str] = {}
    seen: list[float] | None = None
    for layout in LAYOUTS:
        request = {"shape": asdict(shape), "pass": which, "layout": layout, "seconds": seconds}
        times: dict[Candidate, list[float]] = {}
        for c in candidates:
            answer = c.ask(first=True, **request)
            if "error" in answer:
                found[c.name, layout] = answer["error"]
                continue
            seen = seen or answer["seen"]
            if not same(seen, answer["seen"]):
                found[c.name, layout] = f"another result: {answer['seen']}, not {seen}"
                continue
            times[c] = []
        for _ in range(rounds):
            for c, measured in times.items():
                measured.append(c.ask(first=False, **request)["time"])
        found |= {(c.name, layout): statistics.median(m) for c, m in times.items()}
    return found


def chosen(words: str) -> Iterator[Shape]:
    """The shapes whose line has all of the words."""
    for shape in SHAPES:
        line = f"{shape.network} {shape.text()}"
        if all(word in line for word in words.split()):
            yield shape


def mean(ratios: list[float]) -> float:
    """The geometric mean."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def main() -> None:
    """Start the processes, print a line a measurement and what they come to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peers", help="a Python that has PyTorch")
    parser.add_argument("--only", default="", help="words that a shape's line must have")
    parser.add_argument("--passes", default=",".join(PASSES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.03, help="for each measurement")
    parser.add_argument("--candidate", choices=CANDIDATES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.candidate:
        serve(args.candidate, args.threads)
        return
    candidates = [Candidate("croton", sys.executable, args.threads)]
    if args.peers:
        candidates.append(Candidate("torch", args.peers, args.threads))
    columns = [(c.name, layout) for c in candidates for layout in LAYOUTS]
    heads = "".join(f"{name} {layout:>5}".rjust(14) for name, layout in columns)
    print(f"{'milliseconds':52}{heads}{'GFLOP/s':>10}{'torch/croton':>14}")
    ratios: dict[str, list[tuple[float, str]]] = {which: [] for which in args.passes.split(",")}
    failures = []
    for shape in chosen(args.only):
        for which in ratios:
            found = compare(candidates, shape, which, args.rounds, args.seconds)
            line = f"{shape.network:10}{shape.text():36}{which:>5} "
            cells = ""
            best: dict[str, float] = {}
            for name, layout in columns:
                value = found[name, layout]
                if isinstance(value, str):
                    failures.append(f"{line} {name}, channels {layout}: {value}")
                    cells += f"{'-':>14}"
                else:
                    cells += f"{value * 1e3:14.4f}"
                    best[name] = min(best.get(name, value), value)
            if "croton" in best:
                cells += f"{shape.operations / best['croton'] / 1e9:10.1f}"
            if len(best) == 2:
                ratios[which].append((best["torch"] / best["croton"], line))
                cells += f"{ratios[which][-1][0]:14.2f}"
            print(line + cells, flush=True)
    for failure in failures:
        print(f"failed: {failure}")
    every = [pair for pairs in ratios.values() for pair in pairs]
    if every:
        print("\ntorch/croton, geometric means:")
        for which, pairs in [*ratios.items(), ("all", every)]:
            if pairs:
                values = [ratio for ratio, _ in pairs]
                slower = sum(ratio < 1 for ratio in values)
                print(f"  {which:4} {mean(values):6.2f}   ({slower} of {len(values)} below 1)")
        print("worst:")
        for ratio, line in sorted(every)[:8]:
            print(f"  {ratio:6.2f}  {line}")
    if failures:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

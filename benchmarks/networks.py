"""The networks of ``examples/networks``, at full size, beside PyTorch with the same weights.

    python benchmarks/networks.py --peers PYTHON [--only resnet18,lenet] [--dtype float64]

For each network the scores and the gradients of a loss by every weight are computed here
by Croton, and by PyTorch in the other Python, there in float64 too.  It prints how far
both are from what PyTorch's float64 gives, in units of the largest element of each array:
the median over all gradients, and the worst.  Batch normalisation is in its training
form, which magnifies what rounding does; ``--dtype float64`` shows what else there is.
GoogLeNet has its three classifiers.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
NETWORKS = ("lenet", "resnet18", "resnet50", "googlenet", "vgg16")
#: How much each classifier's loss counts.
WEIGHTS = (1.0, 0.3, 0.3)
Arrays = dict[str, np.ndarray]


def made(name: str, dtype: str) -> tuple[Arrays, Any]:
    """A network's parameters, and the function that builds its list of scores."""
    module, _, depth = name.partition("resnet") if "resnet" in name else (name, "", "")
    if depth:
        resnet = importlib.import_module("networks.resnet")
        blocks = resnet.RESNET_50 if depth == "50" else resnet.RESNET_18
        p = resnet.parameters(blocks, bottleneck=depth == "50", dtype=dtype)
        return p, lambda x, p: [resnet.network(x, p, [])]
    network = importlib.import_module(f"networks.{module.removesuffix('16')}")
    if name == "googlenet":
        return network.parameters(dtype=dtype), network.heads
    return network.parameters(dtype=dtype), lambda x, p: [network.network(x, p)]


def by_croton(name: str, p: Arrays, build: Any, image: np.ndarray, labels: np.ndarray) -> Arrays:
    """Scores and gradients by name, and the times it took."""
    tensor = importlib.import_module("croton.tensor")
    croton = importlib.import_module("croton")
    layers = importlib.import_module("networks.layers")
    start = time.perf_counter()
    variables = layers.shared(p)
    trained = layers.trained(variables)
    x, y = tensor.tensor4("x", dtype=image.dtype.name), tensor.lvector("y")
    scores = build(x, variables)
    parts = zip(WEIGHTS, scores, strict=False)
    loss = sum(image.dtype.type(w) * layers.cross_entropy(v, y) for w, v in parts)
    gradients = tensor.grad(loss, list(trained.values()))
    f = croton.function([x, y], [*scores, *gradients])
    compiled = time.perf_counter()
    found = f(image, labels)
    print(f"{name}: compiled in {compiled - start:.1f} s, ran in", end=" ")
    print(f"{time.perf_counter() - compiled:.2f} s", flush=True)
    names = [f"scores{k}" for k in range(len(scores))]
    return dict(zip([*names, *trained], found, strict=True))


def by_torch(python: str, name: str, given: Arrays, dtype: str) -> Arrays:
    """The same by the other Python."""
    with tempfile.TemporaryDirectory() as directory:
        into, out = Path(directory) / "given.npz", Path(directory) / "found.npz"
        np.savez(into, **given)  # type: ignore[arg-type]
        program = HERE / "networks_torch.py"
        subprocess.run([python, str(program), name, dtype, str(into), str(out)], check=True)
        with np.load(out) as found:
            return dict(found)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference, relative to the largest element."""
    largest = float(np.abs(b).max())
    return float(np.abs(a - b).max()) / largest if largest else float(np.abs(a).max())


def report(found: Arrays, want: Arrays) -> str:
    """How far the scores are apart; the gradients in the median, at worst, and which."""
    apart = {name: distance(found[name], want[name]) for name in want}
    scores = max(v for name, v in apart.items() if name.startswith("scores"))
    gradients = {name: v for name, v in apart.items() if not name.startswith("scores")}
    worst = max(gradients, key=lambda name: gradients[name])
    middle = float(np.median(list(gradients.values())))
    return f"{scores:10.1e}{middle:12.1e}{gradients[worst]:10.1e}  {worst}"


def main() -> None:
    """Compare the networks, one after the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--peers", required=True, help="a Python that has PyTorch")
    parser.add_argument("--only", default=",".join(NETWORKS))
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    args = parser.parse_args()
    sys.path.insert(0, str(HERE.parent / "examples"))
    for name in args.only.split(","):
        p, build = made(name, args.dtype)
        rng = np.random.default_rng(0)
        size = (1, 32, 32) if name == "lenet" else (3, 224, 224)
        image = rng.standard_normal((args.batch, *size)).astype(args.dtype)
        labels = rng.integers(0, 10, args.batch)
        given = p | {"image": image, "labels": labels}
        ours = by_croton(name, p, build, image, labels)
        exact = by_torch(args.peers, name, given, "float64")
        theirs = by_torch(args.peers, name, given, args.dtype)
        if set(ours) != set(exact):
            raise SystemExit(f"{name}: other names: {set(ours) ^ set(exact)}")
        print(f"  {'from float64':12}{'scores':>10}{'gradients':>12}{'worst':>10}")
        print(f"  {'croton':12}{report(ours, exact)}")
        print(f"  {'torch':12}{report(theirs, exact)}", flush=True)


if __name__ == "__main__":
    main()

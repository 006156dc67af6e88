"""How long it takes until a network can be trained: ResNet-50's step, cold and warm.

    python benchmarks/compile_time.py [--network resnet18] [--profile 30] [--call]

Each start is a process of its own: the first with an empty compile cache, the second with
what the first has kept.  The step is batch normalisation in its training form, gradient
descent with momentum and decay.  The parts: ``expression`` is the forward graph,
``gradient`` the graph with updates, ``function`` all that ``croton.function`` does.
``--profile N`` shows where the second start spends its time, by cProfile; ``--call`` runs
the step once as well, which compiles the kernels of the algorithms that its sizes choose.
"""

from __future__ import annotations

import argparse
import cProfile
import importlib
import json
import os
import pstats
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NETWORKS = ("resnet50", "resnet18")


def start(network: str, shown: int, call: bool) -> dict[str, float]:
    """Build and compile in this process; seconds, those of the processor last."""
    times: dict[str, float] = {}
    last = time.perf_counter()

    def note(name: str) -> None:
        nonlocal last
        now = time.perf_counter()
        times[name] = now - last
        last = now

    croton = importlib.import_module("croton")
    tensor = importlib.import_module("croton.tensor")
    sys.path.insert(0, str(EXAMPLES))
    layers = importlib.import_module("networks.layers")
    resnet = importlib.import_module("networks.resnet")
    note("import")
    deep = network == "resnet50"
    arrays = resnet.parameters(resnet.RESNET_50 if deep else resnet.RESNET_18, bottleneck=deep)
    p = layers.shared(arrays)
    note("parameters")
    used = time.process_time()
    profile = cProfile.Profile()
    if shown:
        profile.enable()
    x, labels = tensor.ftensor4("x"), tensor.ivector("labels")
    running: list[object] = []
    loss = layers.cross_entropy(resnet.network(x, p, running), labels)
    note("expression")
    updates = layers.momentum(loss, layers.trained(p)) + running
    note("gradient")
    step = croton.function([x, labels], loss, updates=updates)
    note("function")
    profile.disable()
    times["in all"] = times["expression"] + times["gradient"] + times["function"]
    times["processor"] = time.process_time() - used
    if call:
        last = time.perf_counter()
        step(np.zeros((1, 3, 224, 224), np.float32), np.zeros(1, np.int32))
        note("first call")
    if shown:
        pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(shown)
        pstats.Stats(profile, stream=sys.stderr).sort_stats("cumtime").print_stats(2 * shown)
    return times


def main() -> None:
    """Start twice, and say what took how long."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--network", choices=NETWORKS, default=NETWORKS[0])
    parser.add_argument("--profile", type=int, default=0, metavar="N")
    parser.add_argument("--call", action="store_true", help="run the step once")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(start(args.network, args.profile, args.call)))
        return
    command = [sys.executable, __file__, "--child", "--network", args.network]
    command += ["--call"] * args.call
    with tempfile.TemporaryDirectory() as cache:
        flags = ",".join(filter(None, (os.environ.get("CROTON_FLAGS"), f"cache_dir={cache}")))
        for name in ("cold", "warm"):
            extra = ["--profile", str(args.profile)] if name == "warm" else []
            done = subprocess.run(
                command + extra,
                env=os.environ | {"CROTON_FLAGS": flags},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            times = json.loads(done.stdout.splitlines()[-1])
            print(f"{name}: " + "   ".join(f"{k} {v:.2f} s" for k, v in times.items()))


if __name__ == "__main__":
    main()

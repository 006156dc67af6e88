"""Kernels are compiled while others are still being made."""

import threading

import numpy as np
import pytest

import croton
import croton.tensor as T
from croton.codegen.targets import cpu
from croton.codegen.targets.cpu import CpuTarget
from croton.compile import kernels, pipeline, workers
from croton.compile.alternatives import always
from croton.config import config
from croton.schedule.emission import Emission
from croton.schedule.product.plan import main_kernel

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _a_cache_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setattr(config, "cache_dir", str(tmp_path))
    monkeypatch.setattr(kernels.native, "cores_available", lambda: 3)


def shared(*sizes):
    return croton.shared(RNG.standard_normal(sizes).astype("f"))


def network():
    x, w, v = T.ftensor4("x"), shared(8, 3, 3, 3), shared(8, 5)
    hidden = T.nnet.relu(T.nnet.conv2d(x, w)).max(axis=(2, 3))
    loss = T.log(T.nnet.softmax(T.dot(hidden, v))[:, 0]).mean()
    updates = [(p, p - np.float32(0.1) * T.grad(loss, p)) for p in (w, v)]
    return croton.function([x], loss, updates=updates)


def loop():
    x, w = T.ftensor3("x"), shared(7, 7)
    h, _ = croton.scan(
        lambda v, h: T.tanh(v + T.dot(h, w)), sequences=x, outputs_info=T.zeros_like(x[0])
    )
    return croton.function([x], (h[-1] ** 2).sum())


@pytest.mark.parametrize("make", [network, loop])
def test_what_begins_is_what_every_call_needs(make, monkeypatch):
    begun, compiled = set(), kernels.counters["compiled"]
    begin = kernels.Ahead.begin

    def record(ahead, function, **how):
        begun.add(function.name)
        begin(ahead, function, **how)

    monkeypatch.setattr(kernels.Ahead, "begin", record)
    f = make()
    wanted = {f.program.kernels[k] for k in always(f.program)}
    assert begun == wanted
    assert kernels.counters["compiled"] - compiled == len(wanted)


def test_compiling_begins_before_all_is_known(monkeypatch):
    seen = threading.Event()
    compile_one, emit = CpuTarget.compile, Emission.emit
    waited = []

    def compiling(*args):
        seen.set()
        return compile_one(*args)

    def emitting(emission, instruction):
        emit(emission, instruction)
        if emission.kernels and not waited:
            waited.append(seen.wait(10))

    monkeypatch.setattr(CpuTarget, "compile", compiling)
    monkeypatch.setattr(Emission, "emit", emitting)
    x = T.fvector("x")
    assert croton.function([x], [T.exp(x), T.dot(x, x)])(np.zeros(3, "f"))[1] == 0
    assert waited == [True]


def test_the_text_of_what_takes_longest_is_written_before_the_graph_is_rewritten(monkeypatch):
    order = []
    render, rewrite = kernels.llvm.render, pipeline.rewrite_graph

    def writing(functions, target):
        order.append((functions[0].name, threading.current_thread().name))
        return render(functions, target)

    def rewriting(*args):
        order.append("rewritten")
        return rewrite(*args)

    monkeypatch.setattr(kernels.llvm, "render", writing)
    monkeypatch.setattr(pipeline, "rewrite_graph", rewriting)
    network()
    product = kernels.symbol(kernels.kernel_key(main_kernel("float32", cpu.host().machine)))
    assert order[:2] == [(product, threading.main_thread().name), "rewritten"]
    assert len(order) > 2
    assert sum(step[0] == product for step in order) == 1


def threads():
    return [t for t in threading.enumerate() if t.name.startswith("croton")]


def test_an_error_of_the_compiler_is_raised(monkeypatch):
    def fail(*args):
        raise MemoryError("no room for code")

    with monkeypatch.context() as m:
        m.setattr(CpuTarget, "compile", fail)
        with pytest.raises(MemoryError, match="no room for code"):
            network()
    assert not threads()
    assert np.isfinite(network()(np.ones((2, 3, 6, 6), "f")))


def test_scheduling_may_fail_meanwhile(monkeypatch):
    emit = Emission.emit

    def failing(emission, instruction):
        emit(emission, instruction)
        if len(emission.kernels) == 3:
            raise KeyboardInterrupt

    before = kernels.counters["compiled"]
    with monkeypatch.context() as m:
        m.setattr(Emission, "emit", failing)
        with pytest.raises(KeyboardInterrupt):
            network()
    assert not threads()
    assert kernels.counters["compiled"] == before
    assert np.isfinite(network()(np.ones((2, 3, 6, 6), "f")))


def test_one_core(monkeypatch):
    monkeypatch.setattr(kernels.native, "cores_available", lambda: 1)
    monkeypatch.setattr(workers, "ThreadPoolExecutor", None)
    assert np.isfinite(network()(np.ones((2, 3, 6, 6), "f")))

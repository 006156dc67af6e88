"""Training steps of convolutions: the filters' update is computed with their gradient's last sums.

The oracle is the reference mode, in float64.
"""

import numpy as np
import pytest

import croton
import croton.tensor as T
from croton.kernel.nodes import Store, walk_statements
from croton.runtime.program import Host, Launch
from croton.runtime.threads import use_threads

RATE = 0.05


def sgd(w, g):
    return [(w, w - RATE * g)]


def momentum(w, g):
    velocity = zeros_like(w)
    new = 0.9 * velocity - RATE * g
    return [(velocity, new), (w, w + new)]


def nesterov(w, g):
    velocity = zeros_like(w)
    new = 0.9 * velocity - RATE * g
    return [(velocity, new), (w, w + 0.9 * new - RATE * g)]


def rmsprop(w, g):
    mean = zeros_like(w)
    new = 0.9 * mean + 0.1 * g**2
    return [(mean, new), (w, w - RATE * g / T.sqrt(new + 1e-3))]


def adam(w, g):
    first, second, time = zeros_like(w), zeros_like(w), croton.shared(np.array(0, w.dtype))
    now = time + 1
    new_first = 0.9 * first + 0.1 * g
    new_second = 0.99 * second + 0.01 * g**2
    scale = RATE * T.sqrt(1 - 0.99**now) / (1 - 0.9**now)
    return [
        (first, new_first),
        (second, new_second),
        (w, w - scale * new_first / (T.sqrt(new_second) + 1e-3)),
        (time, now),
    ]


def zeros_like(w):
    return croton.shared(np.zeros_like(w.get_value()))


RULES = (sgd, momentum, nesterov, rmsprop, adam)

#: Images, filters, border mode, strides, dilation, groups, and whether filters are flipped.
SHAPES = {
    "winograd": ((8, 33, 17, 18), (40, 33, 3, 3), "half", (1, 1), (1, 1), 1, False),
    "winograd, flipped": ((8, 33, 17, 18), (40, 33, 3, 3), "half", (1, 1), (1, 1), 1, True),
    "winograd, five taps": ((4, 33, 17, 18), (40, 33, 5, 5), "half", (1, 1), (1, 1), 1, True),
    "winograd, groups": ((3, 51, 14, 13), (72, 17, 3, 3), "half", (1, 1), (1, 1), 3, False),
    "direct": ((3, 5, 14, 15), (20, 5, 5, 4), "full", (2, 1), (1, 2), 1, True),
    "direct, many filters": ((2, 7, 9, 8), (130, 7, 2, 3), "valid", (1, 1), (1, 1), 1, False),
    "first layer": ((4, 1, 28, 28), (32, 1, 3, 3), "full", (1, 1), (1, 1), 1, False),
    "one filter": ((3, 9, 12, 11), (1, 9, 3, 3), "half", (1, 1), (1, 1), 1, True),
    "one place": ((3, 17, 9, 8), (35, 17, 1, 1), "valid", (1, 1), (1, 1), 1, False),
    "one place, strided": ((3, 17, 9, 8), (70, 17, 1, 1), "valid", (2, 2), (1, 1), 1, True),
    "groups": ((2, 12, 10, 9), (18, 4, 3, 3), "half", (1, 2), (1, 1), 3, True),
    "groups of four": ((2, 24, 10, 9), (24, 4, 3, 3), "half", (1, 1), (1, 1), 6, False),
    "depthwise": ((2, 37, 10, 9), (37, 1, 3, 3), "half", (2, 1), (1, 1), 37, True),
    "a single weight": ((3, 1, 5, 4), (1, 1, 1, 1), "valid", (1, 1), (1, 1), 1, False),
    "along one dimension": ((4, 8, 1, 50), (24, 8, 1, 7), "valid", (1, 2), (1, 1), 1, True),
}


class Step:
    """A training step of one convolution: its function, and the shared variables it updates."""

    def __init__(self, name, updates, dtype="float32", mode=None, outputs=None):
        with croton.config.change_flags(floatX=dtype):
            self._make(name, updates, dtype, mode, outputs)

    def _make(self, name, updates, dtype, mode, outputs):
        image, filters, border, strides, dilation, groups, flip = SHAPES[name]
        rng = np.random.default_rng(0)
        self.image = rng.standard_normal(image).astype(dtype)
        scale = np.sqrt(np.prod(filters[1:]))
        self.w = croton.shared((rng.standard_normal(filters) / scale).astype(dtype))
        self.x = T.tensor(dtype, (None,) * 4)

        def convolve(x, w):
            return T.nnet.conv2d(
                x, w, border_mode=border, subsample=strides, filter_dilation=dilation,
                num_groups=groups, filter_flip=flip,
            )  # fmt: skip

        self.convolve = convolve
        loss = (T.tanh(convolve(self.x, self.w)) ** 2).mean()
        self.gradient = 10 * T.grad(loss, self.w)
        self.updates = updates(self)
        self.outputs = [] if outputs is None else outputs(self)
        self.f = croton.function([self.x], [loss, *self.outputs], updates=self.updates, mode=mode)

    def run(self, count=2):
        """All outputs and the state after so many steps."""
        found = []
        for _ in range(count):
            found += self.f(self.image)
        return [*found, *(s.get_value() for s, _ in self.updates)]


def passes(f, ranks=(4,)):
    """The kernels of their own that write an update of so many dimensions."""
    program, functions = f.program, f.scheduled.functions
    assert not any(isinstance(i, Host) for i in program.instructions)
    new = {u.buffer for u in program.updates if len(u.shape) in ranks}
    found = []
    for i in program.instructions:
        if isinstance(i, Launch):
            function = functions[i.kernel]
            stored = {s.buffer for s in walk_statements(function.body) if isinstance(s, Store)}
            written = {n for b, n in zip(function.buffers, i.buffers, strict=True) if b in stored}
            if new & written:
                found.append(function.name)
    return found


def assert_close(got, want, precision):
    for a, b in zip(got, want, strict=True):
        assert a.shape == b.shape
        scale = max(np.abs(b).max(initial=0), 1e-30)
        np.testing.assert_allclose(a, b, rtol=0, atol=precision * scale)


def check(name, updates, dtype="float32", outputs=None, fused=True):
    """The step agrees with the reference; it is returned.

    ``fused``: whether the update needs no pass of its own (None: it may or not).
    """
    step = Step(name, updates, dtype, outputs=outputs)
    want = Step(name, updates, "float64", "reference", outputs).run()
    assert_close(step.run(), want, 5e-5 if dtype == "float32" else 1e-12)
    assert fused is None or bool(passes(step.f)) != fused
    return step


def plainly(rule):
    return lambda step: rule(step.w, step.gradient)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["winograd, flipped", "direct"])
def test_rules(name, rule):
    check(name, plainly(rule))


@pytest.mark.parametrize("name", SHAPES)
def test_shapes(name):
    check(name, plainly(rmsprop))


@pytest.mark.parametrize("name", ["direct, many filters", "groups of four"])
def test_in_float64(name):
    check(name, plainly(momentum), "float64")


def test_the_same_bits_whatever_the_threads():
    found = []
    try:
        for count in (1, 2, 3):
            use_threads(count)
            found.append(Step("winograd", plainly(adam)).run())
    finally:
        use_threads(croton.config.threads)
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_no_images():
    step = Step("winograd", plainly(momentum))
    step.run()
    (velocity, _), (w, _) = step.updates
    before, kept = velocity.get_value(), w.get_value()
    step.f(step.image[:0])
    new = np.float32(0.9) * before
    np.testing.assert_allclose(velocity.get_value(), new, rtol=1e-6)
    np.testing.assert_allclose(w.get_value(), kept + new, rtol=1e-6)


def test_the_gradient_is_handed_out_as_well():
    check("winograd, flipped", plainly(rmsprop), outputs=lambda step: [step.gradient])


def test_the_gradient_is_handed_out_in_another_order():
    def turned(step):
        return [step.gradient.dimshuffle(2, 3, 1, 0)]

    check("winograd", plainly(sgd), outputs=turned, fused=False)


def test_the_gradient_alone():
    def nothing(step):
        return []

    for name in ("winograd, flipped", "depthwise", "one filter"):
        check(name, nothing, outputs=lambda step: [step.gradient])


def test_parts_and_sums_of_the_gradient():
    def several(step):
        return [step.gradient.sum(), step.gradient[3:5, 1], step.gradient.flatten(2).T]

    check("direct", plainly(sgd), outputs=several, fused=None)


def test_clipping_by_the_norm_of_the_gradient():
    def clipped(step):
        norm = T.sqrt((step.gradient**2).sum())
        return momentum(step.w, step.gradient * T.minimum(1, 0.1 / norm))

    for name in ("winograd, flipped", "direct"):
        check(name, clipped, fused=False)


def test_decay_of_weights_and_sums_over_them():
    def decaying(step):
        return rmsprop(step.w, step.gradient + 0.01 * step.w)

    check("winograd", decaying, outputs=lambda step: [(step.w**2).sum(), abs(step.w).max()])


def test_rates_of_filters_and_of_channels():
    rng = np.random.default_rng(3)
    for name, shape in (
        ("winograd, flipped", (40, 1, 1, 1)),
        ("winograd", (1, 33, 1, 1)),
        ("direct", (1, 1, 5, 4)),
        ("groups", (18, 1, 3, 1)),
    ):
        rates = rng.random(shape)

        def update(step, rates=rates):
            known = T.constant(rates.astype(step.w.dtype))
            return momentum(
                step.w, step.gradient * T.patternbroadcast(known, [n == 1 for n in rates.shape])
            )

        check(name, update)


def test_noise_on_the_gradient():
    def noisy(step):
        streams = T.random.RandomStreams(7)
        return sgd(step.w, step.gradient + streams.uniform(step.gradient.shape, dtype=step.w.dtype))

    for name in ("winograd", "direct", "one place"):
        check(name, noisy)


def test_filters_that_another_convolution_reads_keep_their_values_for_it():
    def later(step):
        # It needs the gradient, so that it comes behind it.
        return [step.convolve(step.x * step.gradient.flatten()[7], step.w).sum((0, 2, 3))]

    for name in ("winograd", "direct"):
        step = check(name, plainly(sgd), outputs=later)
        (update,) = step.f.program.updates
        assert update.buffer not in {a.buffer for a in step.f.program.arguments}


def test_updates_are_written_in_place():
    step = Step("winograd", plainly(rmsprop))
    arguments = {a.buffer for a in step.f.program.arguments}
    assert {u.buffer for u in step.f.program.updates} <= arguments


def test_filters_of_two_convolutions():
    def shared(step):
        other = T.tanh(step.convolve(step.x[::2], step.w)).mean()
        return rmsprop(step.w, step.gradient + T.grad(other, step.w))

    for name in ("winograd, flipped", "direct", "depthwise"):
        check(name, shared)


def test_the_step_before_is_not_lost():
    # Both see the old filters, whichever is written first.
    def exchanged(step):
        average = croton.shared(step.w.get_value())
        return [(average, 0.9 * average + 0.1 * step.w), (step.w, average - RATE * step.gradient)]

    check("winograd, flipped", exchanged)
    check("direct", exchanged)


@pytest.mark.parametrize("flip", [False, True])
def test_filters_whose_channels_lie_last(flip):
    rng = np.random.default_rng(5)
    image = rng.standard_normal((3, 19, 11, 12))
    start = rng.standard_normal((3, 2, 19, 70)) / 10

    def step(dtype, mode):
        with croton.config.change_flags(floatX=dtype):
            w = croton.shared(start.astype(dtype))
            x = T.tensor(dtype, (None,) * 4)
            y = T.nnet.conv2d(x, w.dimshuffle(3, 2, 0, 1), border_mode="half", filter_flip=flip)
            updates = rmsprop(w, 10 * T.grad((T.tanh(y) ** 2).mean(), w))
            return croton.function([x], y.sum(), updates=updates, mode=mode), updates

    (f, native), (reference, plain) = step("float32", None), step("float64", "reference")
    for _ in range(2):
        assert_close([f(image.astype("float32"))], [reference(image)], 1e-4)
    state = [[s.get_value() for s, _ in updates] for updates in (native, plain)]
    assert_close(*state, 5e-5)
    assert any(name.endswith("_end") for name in f.program.kernels)


def test_volumes():
    rng = np.random.default_rng(6)
    image, start = rng.standard_normal((2, 5, 6, 7, 8)), rng.standard_normal((9, 5, 2, 3, 3)) / 7

    def step(dtype, mode):
        with croton.config.change_flags(floatX=dtype):
            w = croton.shared(start.astype(dtype))
            x = T.tensor(dtype, (None,) * 5)
            y = T.nnet.conv3d(x, w, border_mode="half")
            updates = momentum(w, 10 * T.grad((T.tanh(y) ** 2).mean(), w))
            f = croton.function([x], [], updates=updates, mode=mode)
            for _ in range(2):
                f(image.astype(dtype))
            return [s.get_value() for s, _ in updates]

    assert_close(step("float32", None), step("float64", "reference"), 5e-5)


def test_a_network_has_no_pass_of_updates():
    rng = np.random.default_rng(8)
    image, labels = rng.random((6, 2, 14, 15)), np.eye(5)[rng.integers(0, 5, 6)]
    sizes = [(16, 2, 3, 3), (24, 16, 3, 3), (24 * 3 * 2, 40), (5, 40)]
    start = [rng.standard_normal(s) / np.sqrt(np.prod(s[1:])) for s in sizes]

    def step(dtype, mode):
        with croton.config.change_flags(floatX=dtype):
            first, second, third, last = parameters = [
                croton.shared(v.astype(dtype)) for v in start
            ]
            x, y = T.tensor(dtype, (None,) * 4), T.tensor(dtype, (None, None))
            v = T.nnet.relu(T.nnet.conv2d(x, first, border_mode="full", filter_flip=False))
            v = T.nnet.relu(T.nnet.conv2d(v, second, subsample=(2, 2)))
            v = T.signal.pool.pool_2d(v, (2, 3), ignore_border=True)
            v = T.dot(T.nnet.relu(T.dot(v.flatten(2), third)), last.T)
            loss = T.nnet.categorical_crossentropy(T.nnet.softmax(v), y).mean()
            updates = []
            for p, g in zip(parameters, T.grad(loss, parameters), strict=True):
                updates += rmsprop(p, g)
            f = croton.function([x, y], loss, updates=updates, mode=mode)
            found = [f(image.astype(dtype), labels.astype(dtype)) for _ in range(3)]
            return f, [*found, *(s.get_value() for s, _ in updates)]

    f, got = step("float32", None)
    assert_close(got, step("float64", "reference")[1], 1e-4)
    assert not passes(f, (2, 4))
    with pytest.raises(ValueError, match="shapes do not fit in dot"):
        f(image[:, :, :10].astype("float32"), labels.astype("float32"))

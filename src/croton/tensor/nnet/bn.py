"""Batch normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from croton.graph import trace
from croton.tensor.convert import as_tensor_variable
from croton.tensor.elementwise import cast, maximum, sqrt, true_div
from croton.tensor.nnet.moments import as_epsilon, as_float, as_number, moments, wide
from croton.tensor.reduction import normalise_axis
from croton.tensor.shapes import addbroadcast, dimshuffle


class _Parameters:
    """How tensors of one number for each mean lie along the dimensions of ``x``.

    They have the rank of ``x``, with size 1 along ``axes``, or leave these dimensions out.
    """

    def __init__(self, x: Any, axes: Any, first: Any) -> None:
        self.x = x
        self.axes = _axes(axes, x)
        self.kept = [d for d in range(x.type.ndim) if d not in self.axes]
        self.whole = as_tensor_variable(first).type.ndim == x.type.ndim

    def spread(self, p: Any, name: str) -> Any:
        """``p`` with the rank of the inputs; ValueError where it does not fit them."""
        p, x = as_tensor_variable(p), self.x
        rank = x.type.ndim if self.whole else len(self.kept)
        if p.type.ndim != rank:
            raise ValueError(
                f"{name} has {x.type.ndim} dimensions, as the inputs, or {len(self.kept)}, as "
                f"they without the axes {self.axes}, and as many as gamma; got {p} of rank "
                f"{p.type.ndim}" + trace.describe(p.made_at)
            )
        for k, d in enumerate(self.kept):
            have, want = p.type.shape[d if self.whole else k], x.type.shape[d]
            if None not in (have, want) and have != want:
                raise ValueError(
                    f"{name}: {want} values along dimension {d} of the inputs expected, got {p} "
                    f"of shape {p.type.shape_text()}" + trace.describe(p.made_at)
                )
        if self.whole:
            return addbroadcast(p, *self.axes)
        place = iter(range(rank))
        return dimshuffle(p, ["x" if d in self.axes else next(place) for d in range(x.type.ndim)])

    def gathered(self, p: Any) -> Any:
        """The inverse of :meth:`spread`."""
        return p if self.whole else dimshuffle(p, self.kept)


def _axes(axes: Any, x: Any) -> tuple[int, ...]:
    rank = x.type.ndim
    if isinstance(axes, str):
        if axes not in ("per-activation", "spatial"):
            raise ValueError(f"axes is 'per-activation', 'spatial' or ints, got {axes!r}")
        axes = (0,) if axes == "per-activation" else (0, *range(2, rank))
    found = normalise_axis(list(axes) if isinstance(axes, Sequence) else axes, rank)
    if not found:
        raise ValueError("batch normalisation needs at least one axis, got none")
    return found


def batch_normalization(
    inputs: Any, gamma: Any, beta: Any, mean: Any, std: Any, mode: str = "low_mem"
) -> Any:
    """``(inputs - mean) * (gamma / std) + beta``, with a mean and deviation that are given.

    All have the rank of ``inputs`` (or less) and broadcast against it.  ``mode`` is
    ``"low_mem"`` or ``"high_mem"``, which differed in Theano only.

    >>> import croton.tensor as T
    >>> batch_normalization([[1.0, 2.0], [3.0, 6.0]], 1.0, 0.5, [[2.0, 4.0]], [[1.0, 2.0]]).eval()
    array([[-0.5, -0.5],
           [ 1.5,  1.5]])
    """
    if mode not in ("low_mem", "high_mem"):
        raise ValueError(f'mode is "low_mem" or "high_mem", got {mode!r}')
    x, mean, std, gamma, beta = map(as_tensor_variable, (inputs, mean, std, gamma, beta))
    return (x - mean) * true_div(gamma, std) + beta


def batch_normalization_train(
    inputs: Any,
    gamma: Any,
    beta: Any,
    axes: Any = "per-activation",
    epsilon: Any = 1e-4,
    running_average_factor: Any = 0.1,
    running_mean: Any = None,
    running_var: Any = None,
) -> tuple[Any, ...]:
    """Batch normalisation with the mean and variance of the inputs themselves.

    Returns ``(out, mean, invstd)``::

        mean = inputs.mean(axes)
        var = inputs.var(axes)
        invstd = 1 / sqrt(var + epsilon)
        out = (inputs - mean) * invstd * gamma + beta

    and, if ``running_mean`` and ``running_var`` are given, their new values too, which are
    for a function's ``updates``; m is the number of elements that a mean is of::

        running_mean * (1 - running_average_factor) + mean * running_average_factor
        running_var * (1 - running_average_factor) + m / (m - 1) * var * running_average_factor

    - ``axes``: what a mean is over: ``"per-activation"`` the first dimension;
      ``"spatial"`` all dimensions but the second, so that there is a mean for each channel
      of images (batch, channels, rows, columns); or ints;
    - ``gamma``, ``beta``, ``running_mean``, ``running_var``: one number for each mean: of
      the inputs' shape without ``axes``, or with size 1 there; ``mean``, ``invstd`` and the
      new averages come in the same form.

    ``out`` has the dtype that the inputs, gamma and beta give together; the averages keep
    theirs.  float16 is summed up in float32.  With m = 1 the variance counts as 0.
    Raises ValueError for parameters that do not fit the inputs.

    >>> import croton.tensor as T
    >>> x = T.constant([[1.0, 10.0], [3.0, 10.0]])
    >>> out, mean, invstd = batch_normalization_train(x, T.ones(2), T.zeros(2), epsilon=0.25)
    >>> out.eval().round(3)
    array([[-0.894,  0.   ],
           [ 0.894,  0.   ]])
    >>> mean.eval()
    array([ 2., 10.])
    """
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var are given together or not at all")
    x = as_float(inputs, "batch_normalization_train")
    form = _Parameters(x, axes, gamma)
    gamma, beta = form.spread(gamma, "gamma"), form.spread(beta, "beta")
    found = moments(wide(x), form.axes)
    invstd = found.inverse_std(as_epsilon(epsilon, found.mean.type.dtype))
    # The variance comes first in the product: then a row's sums and deviations share a pass.
    out = (invstd * gamma) * (wide(x) - found.mean) + beta
    if x.type.dtype == "float16" and "float16" == gamma.type.dtype == beta.type.dtype:
        out = cast(out, "float16")
    results = [found.mean, invstd]
    if running_mean is not None:
        unbiased = true_div(found.squares, maximum(found.count - 1, 1))
        for old, name, new in (
            (running_mean, "running_mean", found.mean),
            (running_var, "running_var", unbiased),
        ):
            old = form.spread(old, name)
            dtype = old.type.dtype
            share = as_number(running_average_factor, dtype, "running_average_factor")
            results.append(old * (1 - share) + cast(new, dtype) * share)
    return (out, *(form.gathered(r) for r in results))


def batch_normalization_test(
    inputs: Any,
    gamma: Any,
    beta: Any,
    mean: Any,
    var: Any,
    axes: Any = "per-activation",
    epsilon: Any = 1e-4,
) -> Any:
    """Batch normalisation with a mean and variance that are given, as averages of training.

    ``inputs * scale + (beta - mean * scale)`` with ``scale = gamma / sqrt(var + epsilon)``:
    a product and a sum for each element.  The arguments are those of
    :func:`batch_normalization_train`; ``mean`` and ``var`` have the form of ``gamma``.

    >>> import croton.tensor as T
    >>> x, one = T.constant([[[1.0, 2.0]], [[3.0, 6.0]]]), T.ones(1)
    >>> batch_normalization_test(x, one, one, [3.0], [4.0], "spatial", epsilon=0).eval()
    array([[[0. , 0.5]],
    <BLANKLINE>
           [[1. , 2.5]]])
    """
    x = as_float(inputs, "batch_normalization_test")
    form = _Parameters(x, axes, gamma)
    gamma, beta = form.spread(gamma, "gamma"), form.spread(beta, "beta")
    mean, var = form.spread(mean, "mean"), as_float(form.spread(var, "var"), "var")
    scale = true_div(gamma, sqrt(var + as_epsilon(epsilon, var.type.dtype)))
    return x * scale + (beta - mean * scale)

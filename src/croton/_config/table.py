"""The flags that Croton acts on.  :mod:`croton._config.historical` has those of Theano's past."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from croton._config.flag import Computed, Flag

if TYPE_CHECKING:
    from croton.config import Config


def _threads(config: Config) -> int:
    # OpenMP allows a list, one number for each level of nesting: the outermost counts.
    text = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if not text:
        return 0
    if not text.isdigit():
        raise ValueError(f"OMP_NUM_THREADS={text!r}: expected a whole number")
    return int(text)


def _cache_dir(config: Config) -> str:
    # A directory that Theano may use as well is shared through a folder of our own in it.
    for name in ("compiledir", "base_compiledir"):
        if config.source(name) != "default":
            return os.path.join(getattr(config, name), "croton")
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "croton")


def _convolution_choice(config: Config) -> str:
    asked = config.dnn.conv
    algorithms = (asked.algo_fwd, asked.algo_bwd_data, asked.algo_bwd_filter)
    return "measured" if any(a.startswith("time_") for a in algorithms) else "model"


def _algorithm(name: str, default: str, others: tuple[str, ...]) -> Flag:
    return Flag(
        name,
        "choice",
        default,
        "Theano's choice of cuDNN's algorithm: `time_once` and `time_on_shape_change` have "
        "convolutions `measured` (see `convolution_choice`); other values change nothing.",
        choices=(
            *others,
            *("guess_once", "guess_on_shape_change", "time_once", "time_on_shape_change"),
        ),
    )


def _compiledir(config: Config) -> str:
    return str(config.cache_dir)


FLAGS: tuple[Flag, ...] = (
    # What is computed.
    Flag(
        "floatX",
        "choice",
        "float64",
        "The floating-point type of variables made without a dtype, and the one that Python "
        "numbers are cast to.",
        choices=("float64", "float32", "float16"),
    ),
    Flag(
        "cast_policy",
        "choice",
        "custom",
        "How a number without a dtype becomes a constant: `custom` picks the smallest type that "
        "holds it (floats up to floatX), `numpy+floatX` follows NumPy, with float64 read as "
        "floatX.",
        choices=("custom", "numpy+floatX"),
    ),
    Flag(
        "int_division",
        "choice",
        "int",
        "What `x / y` is for two integer variables in a Python 2 program: the floor (`int`), an "
        "error (`raise`) or the quotient in floatX (`floatX`).",
        choices=("int", "raise", "floatX"),
    ),
    # Where it is computed.
    Flag(
        "device",
        "device",
        "cpu",
        "The device that functions are compiled for.",
        fixed=True,
    ),
    Flag(
        "force_device",
        "bool",
        False,
        "Where `device` cannot be used: stop with an error (True), or warn and use the CPU "
        "(False).",
        fixed=True,
    ),
    Flag(
        "threads",
        "int",
        Computed(_threads, "OMP_NUM_THREADS where that is set, else 0"),
        "How many threads a function may use; 0 means every core that this process may run on.",
        at_least=0,
    ),
    Flag(
        "cache_dir",
        "path",
        Computed(
            _cache_dir,
            "`croton` in the user's cache directory, or in `compiledir` or `base_compiledir` "
            "where one of them is set",
        ),
        "The directory of compiled code that later runs use again.",
    ),
    # How it is compiled.
    Flag(
        "mode",
        "mode",
        "Mode",
        "How functions are compiled where `function(mode=...)` does not say: `Mode` goes by "
        "`optimizer`; `FAST_RUN` optimises fully, `FAST_COMPILE` as little as possible; "
        "`reference` runs every operation's NumPy definition.  `ProfileMode` is `FAST_RUN`.",
        choices=(
            "Mode",
            "FAST_RUN",
            "FAST_COMPILE",
            "reference",
            "ProfileMode",
            "PROFILE_MODE",
        ),
    ),
    Flag(
        "optimizer",
        "choice",
        "fast_run",
        "How much rewriting `mode=Mode` does: `fast_run` (o4, o3, o2 and unsafe are Theano's "
        "degrees of it), `fast_compile` (o1), `merge` (common subexpressions only), `None`.",
        choices=(
            "fast_run",
            "fast_compile",
            "merge",
            "None",
            "o4",
            "o3",
            "o2",
            "o1",
            "unsafe",
        ),
    ),
    Flag(
        "convolution",
        "choice",
        "fastest",
        "Which algorithms may compute convolutions: the `fastest` by a model of their cost, some "
        "of which round more (an error of about 3e-6 of the largest result in float32), or only "
        "`accurate` ones, which add up the products of the definition.",
        choices=("fastest", "accurate"),
    ),
    Flag(
        "convolution_choice",
        "choice",
        Computed(
            _convolution_choice,
            "`measured` where one of Theano's `dnn.conv.algo_fwd`, `dnn.conv.algo_bwd_data` and "
            "`dnn.conv.algo_bwd_filter` is `time_once` or `time_on_shape_change`, else `model`",
        ),
        "How the fastest algorithm of a convolution is found: by a `model` of what each costs, or, "
        "where that takes several for about as fast, `measured` by the first call with such sizes. "
        "What was found is kept in `cache_dir`, for later runs; before that, two runs may round "
        "differently.",
        choices=("model", "measured"),
    ),
    Flag(
        "optimizer_excluding",
        "str",
        "",
        "Rewrite rules to leave out, by name or tag, separated by `:`.",
    ),
    Flag(
        "optimizer_including",
        "str",
        "",
        "Rewrite rules to add, by name or tag, separated by `:`.",
    ),
    Flag(
        "compile_ahead",
        "bool",
        False,
        "Compile all kernels of a function when it is made.  Else those of algorithms among which "
        "the sizes of a call choose are compiled by the first call that needs them.",
    ),
    # What is said when something is wrong.
    Flag(
        "on_unused_input",
        "choice",
        "raise",
        "What `function` does about an input that no output needs.",
        choices=("raise", "warn", "ignore"),
    ),
    Flag(
        "exception_verbosity",
        "choice",
        "low",
        "What an error in a call tells of the operation that failed: its shapes and line (`low`), "
        "or also the expression that it computes, with types (`high`).",
        choices=("low", "high"),
    ),
    Flag(
        "profile",
        "bool",
        False,
        "Measure every function and print a summary when the program ends.",
    ),
    # Theano's names for what a flag above says.
    Flag(
        "base_compiledir",
        "path",
        Computed(lambda config: os.path.expanduser("~/.theano"), "`~/.theano`"),
        "Theano's root for compiled code; where it is set, `cache_dir` is `croton` in it.",
    ),
    Flag(
        "compiledir",
        "path",
        Computed(_compiledir, "`cache_dir`"),
        "Theano's directory for compiled code; where it is set, `cache_dir` is `croton` in it.",
    ),
    _algorithm(
        "dnn.conv.algo_fwd",
        "small",
        ("small", "none", "large", "fft", "fft_tiling", "winograd", "winograd_non_fused"),
    ),
    _algorithm(
        "dnn.conv.algo_bwd_data",
        "none",
        ("none", "deterministic", "fft", "fft_tiling", "winograd", "winograd_non_fused"),
    ),
    _algorithm(
        "dnn.conv.algo_bwd_filter",
        "none",
        ("none", "deterministic", "fft", "small", "winograd_non_fused", "fft_tiling"),
    ),
)

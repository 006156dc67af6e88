"""Fit the polynomials of vector math and write src/croton/codegen/math/coefficients.py.

    python tools/fit_math.py            fit everything
    python tools/fit_math.py EXP LOG    fit these again, keep the others as they are

Every polynomial is the minimax one for its weight (Remez exchange in high
precision on a dense grid).  Its coefficients are rounded to the dtype one at a
time, lowest order first, and the rest is fitted again after each, so that what
rounding does to one is made up for by the others.
"""

from __future__ import annotations

import importlib.util
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mpmath import mp, mpf

mp.dps = 40
OUTPUT = Path(__file__).resolve().parents[1] / "src/croton/codegen/math/coefficients.py"
LN2 = mp.log(2)
Function = Callable[[mpf], mpf]


class Fit(NamedTuple):
    """``function(x)`` as a sum of ``c[k] x**k`` for k in ``range(first, last + 1)``.

    ``fixed`` are the first coefficients, given and rounded.  ``weight`` multiplies
    the error.  ``last`` maps each dtype to its degree.  The first coefficient of a
    ``paired`` one is two numbers, whose sum it is.
    """

    name: str
    about: str
    function: Function
    weight: Function
    low: mpf
    high: mpf
    first: int
    fixed: tuple[mpf | float, ...]
    last: dict[str, int]
    paired: bool = False


#: What the polynomials of logarithms are for, and a little more.
LOG_LOW, LOG_HIGH = mpf(-85) / 256 - mpf("1e-6"), mpf(43) / 128 + mpf("1e-6")


def one(x: mpf) -> mpf:
    """The weight of an absolute error."""
    return mpf(1)


def series(x: mpf, terms: Callable[[int], mpf]) -> mpf:
    """The sum of ``terms(k) x**k`` for a small ``x``."""
    total, power, k = mpf(0), mpf(1), 0
    while abs(power) > mpf(10) ** -(mp.dps + 10) or k < 3:
        total += terms(k) * power
        power *= x
        k += 1
    return total


def solve_exchange(
    xs: list[mpf], values: list[mpf], weights: list[mpf], powers: list[int]
) -> list[mpf]:
    """The coefficients of the best fit on the grid ``xs``, largest weighted error least.

    The lowest power is divided out first: what is left has no sign change in its
    weights, so that the best error is the one that alternates.
    """
    count, lowest = len(powers), powers[0]
    scales = [abs(w * x**lowest) for x, w in zip(xs, weights, strict=True)]
    # Points that weigh nothing would make the system singular.
    kept = [i for i, s in enumerate(scales) if s > max(scales) * mpf(10) ** -20]
    xs, values, scales = ([list_[i] for i in kept] for list_ in (xs, values, scales))
    table = [[s * x ** (k - lowest) for k in powers] for x, s in zip(xs, scales, strict=True)]
    target = [s * v / x**lowest for x, v, s in zip(xs, values, scales, strict=True)]
    last = len(xs) - 1
    angles = [mp.cos(mp.pi * (count - i) / count) for i in range(count + 1)]
    picks = sorted({round(last * float(1 + a) / 2) for a in angles})
    for _ in range(40):
        rows = [[*table[p], mpf((-1) ** i)] for i, p in enumerate(picks)]
        solution = mp.lu_solve(mp.matrix(rows), mp.matrix([target[p] for p in picks]))
        coefficients, level = list(solution)[:-1], abs(solution[count])
        errors = [
            t - mp.fdot(zip(row, coefficients, strict=True))
            for t, row in zip(target, table, strict=True)
        ]
        chosen = _alternation(errors, count + 1)
        worst = max(abs(e) for e in errors)
        if worst <= level * mpf("1.002") or chosen == picks or len(chosen) < count + 1:
            return coefficients
        picks = chosen
    return coefficients


def _alternation(errors: list[mpf], wanted: int) -> list[int]:
    """Where the error is largest, with alternating signs, ``wanted`` places around the worst."""
    runs: list[int] = []
    for i, e in enumerate(errors):
        if e == 0:
            continue
        if runs and (errors[runs[-1]] > 0) == (e > 0):
            if abs(e) > abs(errors[runs[-1]]):
                runs[-1] = i
        else:
            runs.append(i)
    while len(runs) > wanted:
        least = min(range(len(runs)), key=lambda i: abs(errors[runs[i]]))
        if len(runs) == wanted + 1 or least in (0, len(runs) - 1):
            runs.pop(0 if abs(errors[runs[0]]) < abs(errors[runs[-1]]) else -1)
        else:  # its neighbours have the same sign: one of them goes as well
            near = (least - 1, least + 1)
            worse = min(near, key=lambda i: abs(errors[runs[i]]))
            del runs[min(least, worse) : max(least, worse) + 1]
    return runs


def round_to(value: mpf, dtype: str) -> float:
    """``value`` in ``dtype``."""
    return float(np.float32(float(value))) if dtype == "float32" else float(value)


def fit(spec: Fit, dtype: str) -> tuple[tuple[float, ...], float]:
    """The coefficients of ``spec`` in ``dtype`` and the largest weighted error."""
    powers = list(range(spec.first, spec.last[dtype] + 1))
    points = 40 * len(powers)
    middle, half = (spec.high + spec.low) / 2, (spec.high - spec.low) / 2
    xs = [middle - half * mp.cos(mp.pi * i / points) for i in range(points + 1)]
    xs = [x for x in xs if abs(x) > half * mpf(10) ** -6]
    weights = [spec.weight(x) for x in xs]
    exact = [spec.function(x) for x in xs]
    remainder = list(exact)
    done: list[float] = []
    if spec.paired:
        free = not spec.fixed
        c = solve_exchange(xs, remainder, weights, powers)[0] if free else mpf(spec.fixed[0])
        high = round_to(c, dtype)
        if abs(high) > abs(c):  # both parts have one sign: their products with infinity agree
            high = float(np.nextafter(np.dtype(dtype).type(high), np.dtype(dtype).type(0)))
        extra = round_to(c - mpf(high), dtype)
        both = mpf(high) + mpf(extra)
        remainder = [r - both * x**spec.first for r, x in zip(remainder, xs, strict=True)]
        done.append(high)
    while len(done) < len(powers):
        if len(done) < len(spec.fixed):
            c = round_to(mpf(spec.fixed[len(done)]), dtype)
        else:
            c = round_to(solve_exchange(xs, remainder, weights, powers[len(done) :])[0], dtype)
        k = powers[len(done)]
        done.append(c)
        remainder = [r - c * x**k for r, x in zip(remainder, xs, strict=True)]
    if spec.paired:
        done.insert(1, extra)
    return tuple(done), float(max(abs(r * w) for r, w in zip(remainder, weights, strict=True)))


def two_over_pi(bits: int) -> int:
    """The first ``bits`` of 2/pi, as an integer."""
    with mp.workprec(bits + 64):
        return int(mp.floor(mp.ldexp(2 / mp.pi, bits)))


def _long_integer(digits: str) -> list[str]:
    """An expression over several lines for the integer of these hexadecimal digits."""
    rows = [digits[i : i + 75] for i in range(0, len(digits), 75)]
    return [
        f"    {'' if i == 0 else '| '}0x{row}" + (f" << {4 * (len(digits) - 75 * (i + 1))}")
        for i, row in enumerate(rows)
    ]


def write(tables: dict[str, tuple[str, dict[str, tuple[float, ...]]]]) -> None:
    """Write the module of coefficients."""
    lines = [
        '"""Polynomials of vector math, lowest power first; made by tools/fit_math.py."""',
        "",
        "# fmt: off",
    ]
    for name, (about, by_dtype) in tables.items():
        lines += [f"#: {about}", f"{name}: dict[str, tuple[float, ...]] = {{"]
        for dtype, values in by_dtype.items():
            lines.append(f'    "{dtype}": (')
            row = ", ".join(map(repr, values)) + ","
            lines += textwrap.wrap(row, 96, initial_indent=" " * 8, subsequent_indent=" " * 8)
            lines.append("    ),")
        lines += ["}", ""]
    lines += ["#: The first 1200 bits of 2/pi behind the point.", "TWO_OVER_PI = ("]
    digits = f"{two_over_pi(1200):0300x}"
    lines += _long_integer(digits)
    lines += [")", ""]
    OUTPUT.write_text("\n".join(lines[:-1]) + "\n")


def present() -> dict[str, dict[str, tuple[float, ...]]]:
    """The coefficients of the file as it is."""
    if not OUTPUT.exists():
        return {}
    spec = importlib.util.spec_from_file_location("coefficients", OUTPUT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {k: v for k, v in vars(module).items() if isinstance(v, dict) and k.isupper()}


def log1p_ratio(x: mpf) -> mpf:
    """``log(1 + x) / x``."""
    return mp.log1p(x) / x


def erfc_ratio(x: mpf) -> mpf:
    """``(x + 3) exp(x**2) erfc(x)``, which changes slowly."""
    return (x + 3) * mp.exp(x * x) * mp.erfc(x)


def atanh_rest(x: mpf) -> mpf:
    """What :data:`SPECS` says of ATANH, of ``x = s**2``."""
    return series(x, lambda k: mpf(1) / (2 * k + 7))


SPECS = [
    Fit(
        "EXP",
        "exp(r) for |r| <= log 2",
        mp.exp,
        lambda x: mp.exp(-x),
        -LN2 * mpf("1.0001"),
        LN2 * mpf("1.0001"),
        0,
        (1.0, 1.0),
        {"float32": 7, "float64": 13},
    ),
    Fit(
        "EXP_NEAR",
        "exp(r) for |r| <= log(2)/2",
        mp.exp,
        lambda x: mp.exp(-x),
        -LN2 / 2 * mpf("1.0001"),
        LN2 / 2 * mpf("1.0001"),
        0,
        (1.0, 1.0),
        {"float32": 6, "float64": 11},
    ),
    Fit(
        "EXP2",
        "2**r for |r| <= 1",
        lambda x: mpf(2) ** x,
        lambda x: mpf(2) ** -x,
        mpf("-1.0001"),
        mpf("1.0001"),
        0,
        (1.0,),
        {"float32": 7, "float64": 13},
    ),
    Fit(
        "EXPM1",
        "exp(r) - 1 for -log(2)/2 <= r <= log(2), from r on",
        mp.expm1,
        lambda x: 1 / mp.expm1(x),
        -LN2 / 2 * mpf("1.0001"),
        LN2 * mpf("1.0001"),
        1,
        (1.0, 0.5),
        {"float32": 7, "float64": 13},
    ),
    Fit(
        "TANH",
        "(exp(2 r) - 1) / 2 for |r| <= log(2)/4, from r on",
        lambda x: mp.expm1(2 * x) / 2,
        lambda x: 2 / mp.expm1(2 * x),
        -LN2 / 4 * mpf("1.0001"),
        LN2 / 4 * mpf("1.0001"),
        1,
        (1.0,),
        {"float32": 6},
    ),
    Fit(
        "TANH_LATE",
        "(exp(2 r) - 1) / 2 for -log(2)/8 <= r <= 3/8 log 2, from r on",
        lambda x: mp.expm1(2 * x) / 2,
        lambda x: 2 / mp.expm1(2 * x),
        -LN2 / 8 * mpf("1.0001"),
        LN2 * 3 / 8 * mpf("1.0001"),
        1,
        (1.0,),
        {"float64": 12},
    ),
    Fit(
        "LOG",
        "log(1 + g) for 171/256 <= 1 + g <= 171/128, from g on",
        mp.log1p,
        lambda x: 1 / mp.log1p(x),
        LOG_LOW,
        LOG_HIGH,
        1,
        (1.0, -0.5),
        {"float32": 9, "float64": 21},
    ),
    Fit(
        "LOG2",
        "log2(1 + g) for 171/256 <= 1 + g <= 171/128, from g on",
        lambda x: mp.log1p(x) / LN2,
        lambda x: LN2 / mp.log1p(x),
        LOG_LOW,
        LOG_HIGH,
        1,
        (1 / LN2,),
        {"float32": 9, "float64": 21},
    ),
    Fit(
        "LOG10",
        "log10(1 + g) for 171/256 <= 1 + g <= 171/128, from g on",
        lambda x: mp.log1p(x) / mp.log(10),
        lambda x: mp.log(10) / mp.log1p(x),
        LOG_LOW,
        LOG_HIGH,
        1,
        (1 / mp.log(10),),
        {"float32": 9, "float64": 21},
        paired=True,
    ),
    Fit(
        "SIN",
        "sin(r) / r of the square of |r| <= pi/4",
        lambda x: mp.sin(mp.sqrt(x)) / mp.sqrt(x),
        lambda x: mp.sqrt(x) / mp.sin(mp.sqrt(x)),
        mpf("1e-12"),
        (mp.pi / 4 * mpf("1.001")) ** 2,
        0,
        (1.0,),
        {"float32": 3, "float64": 6},
    ),
    Fit(
        "COS",
        "cos(r) of the square of |r| <= pi/4",
        lambda x: mp.cos(mp.sqrt(x)),
        lambda x: 1 / mp.cos(mp.sqrt(x)),
        mpf("1e-12"),
        (mp.pi / 4 * mpf("1.001")) ** 2,
        0,
        (1.0, -0.5),
        {"float32": 4, "float64": 7},
    ),
    Fit(
        "TAN",
        "(tan(r) / r - 1) / r**2 of the square of |r| <= pi/4",
        lambda x: (mp.tan(mp.sqrt(x)) / mp.sqrt(x) - 1) / x,
        lambda x: x**1.5 / mp.tan(mp.sqrt(x)),
        mpf("1e-12"),
        (mp.pi / 4 * mpf("1.001")) ** 2,
        0,
        (),
        {"float32": 6, "float64": 13},
    ),
    Fit(
        "SOFTPLUS",
        "log(1 + z) / z for 0 <= z <= 1",
        log1p_ratio,
        lambda x: 1 / log1p_ratio(x),
        mpf("1e-9"),
        mpf(1),
        0,
        (1.0,),
        {"float32": 9, "float64": 20},
    ),
    Fit(
        "EXP2_NEAR",
        "2**r for |r| <= 1/2",
        lambda x: mpf(2) ** x,
        lambda x: mpf(2) ** -x,
        mpf("-0.50001"),
        mpf("0.50001"),
        0,
        (1.0,),
        {"float32": 5, "float64": 11},
    ),
    Fit(
        "ERF_SMALL",
        "erf(x) / x - 1 of the square of |x| <= 0.92 (float64: 1)",
        lambda x: mp.erf(mp.sqrt(x)) / mp.sqrt(x) - 1,
        one,
        mpf("1e-12"),
        mpf(1),
        0,
        (),
        {"float32": 6, "float64": 11},
    ),
    Fit(
        "ERF_LARGE",
        "log2(1 - erf(x)) for 1 <= x <= 6; its error counts less as x grows",
        lambda x: mp.log(mp.erfc(x)) / LN2,
        mp.erfc,
        mpf("0.999"),
        mpf("5.95"),
        0,
        (),
        {"float32": 8, "float64": 17},
    ),
    Fit(
        "ERFC",
        "(x + 3) exp(x**2) erfc(x) of t = (x - 3) / (x + 3) for 0 <= x <= 27.3",
        lambda t: erfc_ratio(3 * (1 + t) / (1 - t)),
        lambda t: 1 / erfc_ratio(3 * (1 + t) / (1 - t)),
        mpf(-1),
        mpf("24.3") / mpf("30.3"),
        0,
        (),
        {"float32": 12, "float64": 22},
        paired=True,
    ),
    Fit(
        "ASIN",
        "(asin(x) / x - 1) / x**2 of the square of |x| <= 1/2",
        lambda x: (mp.asin(mp.sqrt(x)) / mp.sqrt(x) - 1) / x,
        lambda x: x**1.5 / mp.asin(mp.sqrt(x)),
        mpf("1e-12"),
        mpf("0.25001"),
        0,
        (),
        {"float32": 4, "float64": 11},
    ),
    Fit(
        "ATAN",
        "(atan(x) / x - 1) / x**2 of the square of |x| <= 1",
        lambda x: (mp.atan(mp.sqrt(x)) / mp.sqrt(x) - 1) / x,
        lambda x: x**1.5 / mp.atan(mp.sqrt(x)),
        mpf("1e-12"),
        mpf(1),
        0,
        (),
        {"float32": 8, "float64": 19},
    ),
    Fit(
        "SINH",
        "(sinh(x) / x - 1) / x**2 of the square of |x| <= 1",
        lambda x: (mp.sinh(mp.sqrt(x)) / mp.sqrt(x) - 1) / x,
        lambda x: x**1.5 / mp.sinh(mp.sqrt(x)),
        mpf("1e-12"),
        mpf(1),
        0,
        (),
        {"float32": 3, "float64": 6},
    ),
    Fit(
        "POW_LOG2",
        "log2(1 + g) for 171/256 <= 1 + g <= 171/128, from g on, in float64 for a float32's power",
        lambda x: mp.log1p(x) / LN2,
        lambda x: LN2 / mp.log1p(x),
        LOG_LOW,
        LOG_HIGH,
        1,
        (),
        {"float64": 12},
    ),
    Fit(
        "POW_EXP2",
        "2**r for |r| <= 1/2, in float64 for a float32's power",
        lambda x: mpf(2) ** x,
        lambda x: mpf(2) ** -x,
        mpf("-0.50001"),
        mpf("0.50001"),
        0,
        (1.0,),
        {"float64": 6},
    ),
    Fit(
        "ATANH",
        "(atanh(s) / s - 1 - s**2 / 3 - s**4 / 5) / s**6 of the square of |s| <= 1/5",
        atanh_rest,
        lambda x: x**3,
        mpf("1e-9"),
        mpf("0.04001"),
        0,
        (),
        {"float64": 6},
    ),
]


def main(names: list[str]) -> None:
    """Fit what ``names`` asks for (nothing: everything) and write the file."""
    known = [spec.name for spec in SPECS]
    if unknown := set(names) - set(known):
        raise SystemExit(f"no such polynomial: {', '.join(sorted(unknown))}; there are {known}")
    old = present() if names else {}
    tables = {}
    for spec in SPECS:
        if spec.name in old and spec.name not in names:
            tables[spec.name] = (spec.about, old[spec.name])
            continue
        by_dtype = {}
        for dtype in spec.last:
            by_dtype[dtype], error = fit(spec, dtype)
            print(f"{spec.name:10} {dtype} degree {spec.last[dtype]:2}  error {error:.2e}")
        tables[spec.name] = (spec.about, by_dtype)
    write(tables)


if __name__ == "__main__":
    main(sys.argv[1:])

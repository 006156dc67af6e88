"""Runs a program as ``python`` does: its arguments, its paths, its errors and exit codes."""

from __future__ import annotations

import importlib.util
import os
import sys
import types
from typing import Any

from croton.compat import loader
from croton.compat.python2.operations import end_line

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def run_file(path: str, arguments: list[str], version: str = "auto") -> None:
    """Run the script ``path``; ``version`` is ``"2"``, ``"3"`` or ``"auto"``."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as problem:
        print(
            f"croton: can't open file {os.path.abspath(path)!r}: "
            f"[Errno {problem.errno}] {problem.strerror}",
            file=sys.stderr,
        )
        raise SystemExit(2) from None
    sys.argv = [path, *arguments]
    sys.path[0] = os.path.dirname(os.path.realpath(path))
    main = types.ModuleType("__main__")
    # Absolute, but not normalised, as Python has it.
    path = os.path.join(os.getcwd(), path)
    main.__dict__.update(__file__=path, __cached__=None)
    _run(data, path, version, main)


def run_module(name: str, arguments: list[str], version: str = "auto") -> None:
    """Run the module ``name`` (of a package, its ``__main__``) as ``python -m`` does."""
    sys.path[0] = os.getcwd()
    sys.argv = ["-m", *arguments]
    loader.install()
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        name = f"{name}.__main__"
        spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None or not os.path.exists(spec.origin):
        print(f"croton: No module named {name}", file=sys.stderr)
        raise SystemExit(1)
    with open(spec.origin, "rb") as file:
        data = file.read()
    sys.argv[0] = spec.origin
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=spec.origin, __cached__=None, __spec__=spec)
    main.__package__ = spec.parent
    _run(data, spec.origin, version, main)


def _run(data: bytes, path: str, version: str, main: types.ModuleType) -> None:
    sys.excepthook = _report
    sys.modules["__main__"] = main
    source = loader.Source(data, path, version)
    loader.install("2" if source.python2 else "3")
    try:
        source.run(main.__dict__)
    finally:
        if source.python2:
            end_line()


def _report(kind: type[BaseException], value: BaseException, trace: Any) -> None:
    """The traceback of the user's program, without the frames that run it."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [value]
    while waiting:
        problem = waiting.pop()
        if problem is not None and id(problem) not in seen:
            seen.add(id(problem))
            problem.__traceback__ = _stripped(problem.__traceback__)
            waiting += [problem.__cause__, problem.__context__]
    sys.__excepthook__(kind, value, value.__traceback__)


def _stripped(trace: types.TracebackType | None) -> types.TracebackType | None:
    """``trace`` from the first frame of the program on, without those of our helpers."""
    frames = []
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    ours = [_is_ours(frame) for frame in frames]
    if True in ours:
        # Above our first frame there is only the command that called it.
        first = ours.index(True)
        if frames[0].tb_frame.f_back is None:
            frames, ours = frames[first:], ours[first:]
    result: types.TracebackType | None = None
    for frame, skip in zip(reversed(frames), reversed(ours), strict=True):
        if not skip:
            frame.tb_next = result
            result = frame
    return result


def _is_ours(trace: types.TracebackType) -> bool:
    name = trace.tb_frame.f_code.co_filename
    return name.startswith(_HERE) or name.startswith("<frozen importlib")

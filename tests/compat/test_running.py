"""``croton run`` behaves as ``python`` does: arguments, paths, errors, exit codes."""

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from croton.compat import loader
from croton.config import config
from croton.runtime.cache import ObjectCache


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    return path


def croton(*arguments, cwd, **environment):
    command = [sys.executable, "-m", "croton", "run", *map(str, arguments)]
    merged = {**os.environ, "HOME": str(cwd), "CROTON_FLAGS": "", **environment}
    return subprocess.run(command, cwd=cwd, env=merged, capture_output=True, text=True)


def python(*arguments, cwd):
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def same(done, expected):
    assert (done.returncode, done.stdout, done.stderr) == (
        expected.returncode,
        expected.stdout,
        expected.stderr,
    )


PYTHON3 = {
    "arguments": "import sys; print(sys.argv[1:], __name__, __file__)",
    "exit": "import sys; sys.exit(3)",
    "exit_text": "raise SystemExit('goodbye')",
    "exit_none": "raise SystemExit",
    "error": """
        def inner(x):
            return 1 / x

        def outer():
            inner(0)

        outer()
        """,
    "chained": """
        try:
            {}["missing"]
        except KeyError as error:
            raise ValueError("chained") from error
        """,
    "syntax": "x = (1 +\ny = 2\n",
    "hook": """
        import sys
        sys.excepthook = lambda kind, value, trace: print("hooked", kind.__name__)
        1 / 0
        """,
    "at_exit": """
        import atexit
        atexit.register(print, "at exit")
        raise RuntimeError
        """,
    "annotations": "x: int = 3; print(__annotations__, f'{x=}', (y := 2))",
    "main": "import __main__; v = 5; print(__main__.v, __main__.__file__)",
    "group": "raise ExceptionGroup('g', [ValueError(1)])",
}


@pytest.mark.parametrize("name", PYTHON3)
def test_as_python_does(name, tmp_path):
    script = write(tmp_path / "script.py", PYTHON3[name])
    arguments = (script.name, "-a", "--b=1", "c d", "--help", "-m")
    same(croton(*arguments, cwd=tmp_path), python(*arguments, cwd=tmp_path))


def test_options_before_the_script_are_ours(tmp_path):
    script = write(tmp_path / "s.py", "import sys; print(sys.argv)")
    assert croton("--python3", script, "--python2", cwd=tmp_path).stdout == (
        f"['{script}', '--python2']\n"
    )
    done = croton("--python2", "--python3", script, cwd=tmp_path)
    assert done.returncode == 2
    assert "exclude each other" in done.stderr


def test_a_missing_file(tmp_path):
    done = croton("nothing.py", cwd=tmp_path)
    assert done.returncode == 2
    assert "can't open file" in done.stderr
    assert "No such file" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_scripts_directory_comes_first_on_the_path(tmp_path):
    write(tmp_path / "there/script.py", "import sys, os; print(os.path.realpath(sys.path[0]))")
    done = croton("there/script.py", cwd=tmp_path)
    assert done.stdout.strip() == os.path.realpath(tmp_path / "there")


def test_a_module(tmp_path):
    write(tmp_path / "package/__init__.py", "")
    write(tmp_path / "package/__main__.py", "import sys; print 'main', __name__, sys.argv[1:]")
    write(tmp_path / "package/tool.py", "from . import other; print other.x / 2, __package__")
    write(tmp_path / "package/other.py", "x = 5")
    assert croton("-m", "package", "a", "-b", cwd=tmp_path).stdout == "main __main__ ['a', '-b']\n"
    assert croton("-m", "package.tool", cwd=tmp_path).stdout == "2 package\n"
    done = croton("-m", "nothing_here", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "croton: No module named nothing_here\n")


def test_a_python2_traceback_shows_the_users_lines(tmp_path):
    script = write(
        tmp_path / "script.py",
        """
        import helper

        def f((a, b)):
            "A doc."
            print a,
            return helper.divide(a, b)


        print "begin"
        print f((1, 0))
        """,
    )
    write(tmp_path / "helper.py", "def divide(a, b):\n    c = a / b; print 'never'\n    return c\n")
    done = croton(script.name, cwd=tmp_path)
    assert done.stdout == "begin\n1\n"
    assert done.returncode == 1
    with pytest.raises(ZeroDivisionError) as floor:  # in the words of this Python
        1 // 0  # noqa: B018
    assert done.stderr == textwrap.dedent(
        f"""\
        Traceback (most recent call last):
          File "{script}", line 10, in <module>
            print f((1, 0))
          File "{script}", line 6, in f
            return helper.divide(a, b)
          File "{tmp_path}/helper.py", line 2, in divide
            c = a / b; print 'never'
        ZeroDivisionError: {floor.value}
        """
    )


def test_modules_are_converted_as_they_are_imported(tmp_path):
    write(
        tmp_path / "script.py",
        """
        import old, new, either
        from package import module
        from package.deep import leaf
        print old.half(5), new.half(5), module.where(), leaf.value, either.half(5)
        """,
    )
    write(tmp_path / "old.py", "def half(x):\n    print 'old',\n    return x / 2\n")
    write(tmp_path / "new.py", "def half(x: int):\n    return x / 2\n")
    write(tmp_path / "either.py", "def half(x): return x / 2")
    write(tmp_path / "package/__init__.py", "import module\nprint 'package', module.where()")
    write(tmp_path / "package/module.py", "import sibling\ndef where(): return sibling.name")
    write(
        tmp_path / "package/sibling.py", "import string\nname = 'sibling'; print string.letters[0]"
    )
    write(tmp_path / "package/deep/__init__.py", "")
    write(tmp_path / "package/deep/leaf.py", "from ..sibling import name as value; print `value`")
    done = croton("script.py", cwd=tmp_path)
    assert done.stderr == ""
    assert done.stdout == "a\npackage sibling\n'sibling'\nold 2 2.5 sibling sibling 2\n"


def test_converted_code_is_kept_for_the_next_run(tmp_path):
    write(tmp_path / "script.py", "import old; print old.x")
    old = write(tmp_path / "old.py", "x = 5 / 2; print 'imported'")
    flags = {"CROTON_FLAGS": f"cache_dir={tmp_path / 'cache'}"}
    for _ in range(2):
        assert croton("script.py", cwd=tmp_path, **flags).stdout == "imported\n2\n"
    kept = [pathlib.Path(entry.path) for entry in ObjectCache(tmp_path / "cache").entries()]
    assert len(kept) == 2
    assert not (tmp_path / "__pycache__").exists()
    for file in kept:
        file.write_bytes(b"damaged")
    old.write_text("x = 7 / 2; print 'changed'")
    assert croton("script.py", cwd=tmp_path, **flags).stdout == "changed\n3\n"


def test_a_cache_that_cannot_be_written(tmp_path):
    write(tmp_path / "file", "")
    script = write(tmp_path / "script.py", "print 1 / 2")
    flags = {"CROTON_FLAGS": f"cache_dir={tmp_path / 'file' / 'cache'}"}
    assert croton(script, cwd=tmp_path, **flags).stdout == "0\n"


@pytest.mark.parametrize(
    ("source", "python2"),
    [
        ("print 1", True),
        ("x = 0777", True),
        ("for i in xrange(3): pass", True),
        ("#!/usr/bin/env python2\nx = 1", True),
        ("#!/usr/bin/python3\nraw_input = 1", False),
        ("import cPickle", True),
        ("d = {}\nfor k in d.iteritems(): pass", True),
        ("x = 1", False),
        (
            "try:\n    xrange\nexcept NameError:\n    xrange = range\nfor i in xrange(3): pass",
            False,
        ),
        ("try:\n    import cPickle\nexcept ImportError:\n    import pickle as cPickle", False),
        ("import sys\nif sys.version_info[0] < 3:\n    import urllib2", False),
        ("from functools import reduce\nreduce(max, [1])", False),
        ("from six.moves import xrange\nfor i in xrange(3): pass", False),
        ("import pandas as pd\nx = pd.DataFrame().iteritems", False),
        (
            "class A:\n    def f(self) -> int: return 1\n    def g(self): return self.has_key",
            False,
        ),
        ("def f(long, cmp): return long, cmp", False),
        ("print('a', end='')\nx = lambda: xrange", False),
        ("from __future__ import print_function\nprint('a', end='')\nx = lambda: xrange", True),
        ("x = f'{1}'\ny = lambda: unicode", False),
    ],
)
def test_which_python(source, python2, tmp_path):
    with config.change_flags(cache_dir=tmp_path):
        assert loader.Source(source.encode(), "s.py", "auto").python2 is python2


def test_what_may_be_either_goes_by_the_program(tmp_path):
    with config.change_flags(cache_dir=tmp_path):
        for source, version in ((b"x = 1 / 2", "2"), (b"x = f'{1 / 2}'", "3")):
            names = {}
            loader.Source(source, "s.py", "auto", otherwise="2").run(names)
            assert float(names["x"]) == (0 if version == "2" else 0.5)
            names = {}
            loader.Source(source, "s.py", "auto", otherwise="3").run(names)
            assert float(names["x"]) == 0.5


def test_a_script_that_is_neither(tmp_path):
    script = write(tmp_path / "s.py", "x = = 1\n")
    same(croton(script.name, cwd=tmp_path), python(script.name, cwd=tmp_path))
    script = write(tmp_path / "t.py", "print 'a'\nx = = 1\n")
    done = croton(script.name, cwd=tmp_path)
    assert done.returncode == 1
    assert f'File "{script}", line 2' in done.stderr
    assert "SyntaxError" in done.stderr
    assert "croton" not in done.stderr


def test_forced_versions(tmp_path):
    script = write(tmp_path / "s.py", "print(1 / 2)")
    assert croton(script, cwd=tmp_path).stdout == "0.5\n"
    assert croton("--python2", script, cwd=tmp_path).stdout == "0\n"
    assert croton(script, cwd=tmp_path).stdout == "0.5\n"
    script = write(tmp_path / "t.py", "print 1 / 2")
    done = croton("--python3", script, cwd=tmp_path)
    assert done.returncode == 1
    assert "Missing parentheses" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_interrupt(tmp_path):
    script = write(tmp_path / "s.py", "import time\nprint('up', flush=True)\ntime.sleep(60)\n")
    command = [sys.executable, "-m", "croton", "run", str(script)]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "up\n"
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert "croton" not in errors


def test_multiprocessing_finds_the_scripts_functions(tmp_path):
    script = write(
        tmp_path / "s.py",
        """
        import multiprocessing

        def work(x):
            return x / 2

        if __name__ == "__main__":
            context = multiprocessing.get_context("fork")
            print context.Pool(1).map(work, [5, 7])
        """,
    )
    assert croton(script, cwd=tmp_path).stdout == "[2, 3]\n"

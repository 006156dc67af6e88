"""The commands of ``croton``."""

import os
import re
import subprocess
import sys

import pytest

from croton.cli import cache, gpu
from croton.config import config


def croton(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "croton", *map(str, arguments)],
        env={**os.environ, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
    )


def test_no_command_shows_the_help():
    done = croton()
    for command in ("run", "doctor", "cache"):
        assert command in done.stdout + done.stderr


def test_version():
    done = croton("--version")
    assert re.fullmatch(r"croton \d+\.\d+\S*\n", done.stdout)
    assert done.returncode == 0


def test_an_unknown_command():
    done = croton("dance")
    assert done.returncode == 2
    assert "dance" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_flag(tmp_path):
    done = croton("cache", CROTON_FLAGS="flaotX=float32")
    assert done.returncode == 1
    assert "there is no flag 'flaotX'; did you mean floatX?" in done.stderr


def test_doctor(tmp_path):
    flags = f"cache_dir={tmp_path},threads=1,lib.cnmem=0.5"
    done = croton("doctor", CROTON_FLAGS=flags)
    assert done.returncode == 0, done.stderr
    out = done.stdout
    for word in ("Python", "numpy", "llvmlite", "vectors", "registers", "GFLOP/s", "NVIDIA"):
        assert word in out
    assert re.search(r"used\s+1 \(threads=1, from CROTON_FLAGS\)", out)
    assert str(tmp_path) in out
    assert "0.5 (CROTON_FLAGS, without effect)" in out


def test_cache(tmp_path):
    root = tmp_path / "cache"
    flags = {"CROTON_FLAGS": f"cache_dir={root}"}
    done = croton("cache", **flags)
    assert done.stdout == f"{root}\n  empty\n"
    (root / "ab").mkdir(parents=True)
    (root / "ab/cdef").write_bytes(b"x" * 2048)
    (root / "ab/0123").write_bytes(b"x" * 1024)
    (root / "loose").write_bytes(b"x")
    done = croton("cache", "show", **flags)
    assert re.search(r"compiled code\s+2 files\s+3\.0 KiB", done.stdout)
    assert re.search(r"other files\s+1 files\s+1 bytes", done.stdout)
    assert croton("cache", "clear", **flags).stdout == f"cleared 3.0 KiB in {root}\n"
    assert list(root.iterdir()) == []
    assert croton("cache", "burn", **flags).returncode == 2


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1536, "1.5 KiB"),
        (5 << 20, "5.0 MiB"),
        (3 << 40, "3.0 TiB"),
    ],
)
def test_sizes(size, text):
    assert cache.in_words(size) == text


def test_clearing_follows_no_link(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("kept")
    root = tmp_path / "cache"
    root.mkdir()
    (root / "link").symlink_to(outside)
    with config.change_flags(cache_dir=root):
        cache.clear()
    assert (outside / "precious").read_text() == "kept"
    assert list(root.iterdir()) == []


def test_the_driver_is_asked_without_one_being_there():
    found = gpu.driver()
    assert found is None or re.fullmatch(r"\d+\.\d+", found.version)


def test_the_commands_are_not_imported_with_the_package():
    code = "import sys, croton; print({'typer', 'rich', 'fissix'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"

"""The object cache: what is put is got, or nothing is; it never raises."""

import hashlib
import os
import subprocess
import sys
import time

import pytest

from croton.runtime.cache import ObjectCache


def key(text):
    return hashlib.sha256(str(text).encode()).hexdigest()


def test_put_and_get(tmp_path):
    cache = ObjectCache(tmp_path / "deep" / "cache")
    assert cache.get(key(1)) is None
    for data in (b"", b"x", os.urandom(100_000)):
        cache.put(key(data), data)
        cache.put(key(data), data)
        assert cache.get(key(data)) == data
        assert ObjectCache(cache.directory).get(key(data)) == data
    assert (cache.hits, cache.misses) == (3, 1)
    assert len(cache.entries()) == 3
    assert cache.clear() == 3
    assert cache.get(key(b"x")) is None


@pytest.mark.parametrize("name", ["", "a", "../../etc/passwd", "ABCDEF", "xyz", "ab/cd", "ab.c"])
def test_keys_are_digests(tmp_path, name):
    cache = ObjectCache(tmp_path)
    with pytest.raises(ValueError, match="hexadecimal"):
        cache.get(name)
    with pytest.raises(ValueError, match="hexadecimal"):
        cache.put(name, b"")


def test_damaged_entries_are_dropped(tmp_path):
    cache = ObjectCache(tmp_path)
    data = b"some machine code" * 10
    for damage in range(0, 60, 7):
        for change in ("flip", "cut", "append"):
            cache.put(key(1), data)
            (entry,) = cache.entries()
            with open(entry.path, "rb") as file:
                content = bytearray(file.read())
            if change == "flip":
                content[damage] ^= 1
            elif change == "cut":
                del content[damage:]
            else:
                content += b"x"
            with open(entry.path, "wb") as file:
                file.write(content)
            assert cache.get(key(1)) is None
            assert cache.entries() == []
    cache.put(key(1), data)
    assert cache.get(key(1)) == data


def test_the_longest_unused_go_first(tmp_path):
    cache = ObjectCache(tmp_path, limit=100_000)
    now = time.time()
    for i in range(20):
        cache.put(key(i), bytes(4000))
        os.utime(cache._path(key(i)), (now - 10_000 + i, now - 10_000 + i))
    assert cache.get(key(0)) is not None  # used now
    for i in range(20, 30):
        cache.put(key(i), bytes(4000))
    size = sum(entry.size for entry in cache.entries())
    assert 50_000 < size <= 110_000
    assert cache.get(key(29)) is not None and cache.get(key(0)) is not None
    assert cache.get(key(1)) is None


def test_left_over_temporary_files_go(tmp_path):
    cache = ObjectCache(tmp_path)
    cache.put(key(1), b"data")
    shard = os.path.dirname(cache.entries()[0].path)
    old, young = os.path.join(shard, "tmp-old"), os.path.join(shard, "tmp-young")
    for path in (old, young):
        open(path, "w").close()
    os.utime(old, (1, 1))
    cache.evict()
    assert not os.path.exists(old) and os.path.exists(young)
    assert len(cache.entries()) == 1


def test_a_directory_that_cannot_be(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for directory in (file, file / "below", "/proc/nothing"):
        cache = ObjectCache(directory)
        with pytest.warns(RuntimeWarning, match=f"not kept between runs: {directory}: ") as said:
            cache.put(key(1), b"data")
            cache.put(key(2), b"data")
        assert len(said) == 1
        assert cache.get(key(1)) is None
        assert cache.entries() == [] and cache.clear() == 0
        cache.evict()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_may_only_be_read(tmp_path):
    cache = ObjectCache(tmp_path)
    cache.put(key(1), b"data")
    shard = os.path.dirname(cache.entries()[0].path)
    os.chmod(shard, 0o500)
    os.chmod(tmp_path, 0o500)
    try:
        with pytest.warns(RuntimeWarning, match="not kept between runs"):
            cache.put(key(2), b"more")
        assert cache.get(key(1)) == b"data" and cache.get(key(2)) is None
    finally:
        os.chmod(tmp_path, 0o700)
        os.chmod(shard, 0o700)


WORKER = """
import random, sys
from croton.runtime.cache import ObjectCache
cache = ObjectCache(sys.argv[1], limit=200_000)
generator = random.Random(int(sys.argv[2]))
for _ in range(300):
    i = generator.randrange(40)
    data = bytes([i]) * (1000 * i)
    name = f"{i:064x}"
    found = cache.get(name)
    assert found in (None, data), i
    if found is None or generator.random() < 0.3:
        cache.put(name, data)
"""


def test_many_processes(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path), str(i)], env=environment)
        for i in range(3)
    ]
    assert [worker.wait(30) for worker in workers] == [0, 0, 0]

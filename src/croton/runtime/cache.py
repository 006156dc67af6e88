"""The object cache: a directory of small files, found by the hash of what they were made from.

Any number of processes may share it without locks: an entry is written to a temporary file
and renamed, and carries a checksum, so a reader sees all of it or drops it.  Nothing here
raises for a directory that is missing, full or not ours to write: then nothing is cached,
and a warning says so once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_MAGIC = b"croton entry 1\n\0"
_DIGEST_BYTES = 16
_HEX = frozenset("0123456789abcdef")
_TEMPORARY = "tmp-"
_TEMPORARY_SECONDS = 3600  # how old a temporary file is that nobody writes any more
_TOUCH_SECONDS = 3600  # how exactly it is known when an entry was last used
_KEPT = 0.8  # of the limit, after entries were evicted


class CacheEntry(NamedTuple):
    """A file of the cache: when it was last used, and how large it is."""

    used: float
    size: int
    path: str


def _digest(data: bytes | memoryview) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()


class ObjectCache:
    """Bytes by key in ``directory``; at most about ``limit`` bytes in all.

    Keys are hexadecimal digests.  The entries that were not used for longest go first.
    """

    def __init__(self, directory: str | os.PathLike[str], limit: int = 1 << 30) -> None:
        self.directory = Path(directory)
        self.limit = limit
        self.hits = 0
        self.misses = 0
        # The first write of a process looks at the size of the directory.
        self._unchecked = limit
        self._warned = False

    def _path(self, key: str) -> Path:
        if len(key) < 3 or not _HEX.issuperset(key):
            raise ValueError(f"a key of the cache is a hexadecimal digest, not {key!r:.80}")
        return self.directory / key[:2] / key[2:]

    def get(self, key: str) -> bytes | None:
        """The bytes that were put under ``key``, if they are still there and whole."""
        path = self._path(key)
        data = self._read(path)
        if data is None:
            self.misses += 1
        else:
            self.hits += 1
        return data

    def _read(self, path: Path) -> bytes | None:
        try:
            with open(path, "rb") as file:
                head = file.read(len(_MAGIC) + _DIGEST_BYTES)
                data = file.read()
                used = os.fstat(file.fileno()).st_mtime
        except OSError:
            return None
        whole = head == _MAGIC + _digest(data)
        with contextlib.suppress(OSError):
            if not whole:
                os.unlink(path)
            elif abs(time.time() - used) > _TOUCH_SECONDS:
                os.utime(path)
        return data if whole else None

    def __contains__(self, key: str) -> bool:
        """Whether there is something under ``key``, which may be damaged."""
        return self._path(key).exists()

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Keep ``data`` under ``key``, if that is possible."""
        path = self._path(key)
        try:
            self._write(path, _MAGIC + _digest(data), data)
        except OSError as error:
            if not self._warned:
                self._warned = True
                warnings.warn(
                    f"compiled code is not kept between runs: {self.directory}: {error.strerror}",
                    RuntimeWarning,
                    stacklevel=2,
                )
            return
        self._unchecked += len(data)
        if self._unchecked > self.limit // 16:
            self._unchecked = 0
            self.evict()

    def _write(self, path: Path, head: bytes, data: bytes | memoryview) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=path.parent)
        try:
            with open(descriptor, "wb") as file:
                file.write(head)
                file.write(data)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise

    def _files(self) -> Iterator[os.DirEntry[str]]:
        with contextlib.suppress(OSError), os.scandir(self.directory) as shards:
            for shard in shards:
                if len(shard.name) != 2 or not _HEX.issuperset(shard.name):
                    continue
                with contextlib.suppress(OSError), os.scandir(shard.path) as files:
                    yield from files

    def entries(self) -> list[CacheEntry]:
        """What is there, the longest unused first."""
        found = []
        now = time.time()
        for file in self._files():
            with contextlib.suppress(OSError):
                status = file.stat(follow_symlinks=False)
                if not file.name.startswith(_TEMPORARY):
                    found.append(CacheEntry(status.st_mtime, status.st_size, file.path))
                elif now - status.st_mtime > _TEMPORARY_SECONDS:
                    os.unlink(file.path)
        return sorted(found)

    def evict(self) -> None:
        """Remove the longest unused entries if there is more than the limit."""
        entries = self.entries()
        excess = sum(entry.size for entry in entries) - self.limit
        if excess <= 0:
            return
        excess += int((1 - _KEPT) * self.limit)
        for entry in entries:
            if excess <= 0:
                break
            with contextlib.suppress(OSError):
                os.unlink(entry.path)
                excess -= entry.size

    def clear(self) -> int:
        """Remove all entries: how many there were."""
        removed = 0
        for file in self._files():
            with contextlib.suppress(OSError):
                os.unlink(file.path)
                removed += not file.name.startswith(_TEMPORARY)
        return removed

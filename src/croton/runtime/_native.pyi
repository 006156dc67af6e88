"""The C extension: runs encoded programs, holds threads and memory."""

from collections.abc import Callable as AnyCallable
from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

CODES: dict[str, int]

@final
class Cell:
    """The storage of one shared variable."""

    def __init__(self, value: NDArray[Any]) -> None: ...
    @property
    def value(self) -> NDArray[Any]: ...
    @value.setter
    def value(self, value: NDArray[Any]) -> None: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    exposed: bool
    def copy(self) -> NDArray[Any]: ...

@final
class Callable:
    """A program that can be called."""

    def __init__(
        self,
        words: NDArray[np.int64],
        name: str,
        names: tuple[str, ...],
        defaults: tuple[Any, ...],
        hosts: tuple[AnyCallable[..., Any], ...],
        constants: tuple[NDArray[Any], ...],
        cells: tuple[Cell, ...],
        convert: AnyCallable[[int, Any], NDArray[Any]],
        fail: AnyCallable[[int, tuple[int, ...], tuple[int, ...]], BaseException],
        result: int,
        keys: tuple[Any, ...],
        keepalive: object,
        owner: object,
        adapt: AnyCallable[[], Callable | None] | None = None,
        link: AnyCallable[[int, int, tuple[int, ...]], Sequence[int]] | None = None,
    ) -> None: ...
    owner: Any
    profiling: bool
    def profile_data(self) -> list[tuple[int, int]]: ...
    def profile_reset(self) -> None: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def __getattr__(self, name: str) -> Any: ...
    def __getitem__(self, key: Any) -> Any: ...
    def __setitem__(self, key: Any, value: Any) -> None: ...

def set_threads(count: int, /) -> None: ...
def thread_count() -> int: ...
def pool_statistics() -> dict[str, int]: ...
def memory_statistics() -> dict[str, int]: ...
def release_memory() -> int: ...

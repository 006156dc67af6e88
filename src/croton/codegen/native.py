"""LLVM itself, through llvmlite: IR text to objects, objects to addresses.

llvmlite guards every call with one lock.  Parsing and code generation touch
nothing but the LLVM context and target machine that they are given, so these
calls go around the lock (ctypes releases the GIL) and modules compile in
parallel, each with a context and a machine of its own.  What takes less time than
another thread may take to give the GIL back, which is milliseconds, keeps it.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import struct
import threading
from collections.abc import Iterable
from typing import Any

import llvmlite.binding as llvm
from llvmlite.binding import ffi

from croton.codegen.unmapping import unmap
from croton.kernel.nodes import KernelError

_apart, _at_once = ctypes.CDLL(ffi.lib._name), ctypes.PyDLL(ffi.lib._name)


def _unlocked(library: Any, name: str) -> Any:
    """LLVM's function ``name`` without llvmlite's lock."""
    locked, function = getattr(ffi.lib, f"LLVMPY_{name}"), library[f"LLVMPY_{name}"]
    function.argtypes, function.restype = locked.argtypes, locked.restype
    return function


_parse = _unlocked(_apart, "ParseAssembly")
_parse_short = _unlocked(_at_once, "ParseAssembly")
_emit = _unlocked(_apart, "TargetMachineEmitToMemory")
_new_context = _unlocked(_at_once, "ContextCreate")
_end_context = _unlocked(_at_once, "ContextDispose")
_end_module = _unlocked(_at_once, "DisposeModule")
_end_memory = _unlocked(_at_once, "DisposeMemoryBuffer")
_end_string = _unlocked(_at_once, "DisposeString")
_start = _unlocked(_at_once, "GetBufferStart")
_size = _unlocked(_at_once, "GetBufferSize")
#: Characters from which on a text is long: parsing takes a millisecond, less effort may do.
_LONG_TEXT = 1 << 15
#: Of a processor: compiling takes so much longer than to fetch LLVM's pages again.
_LONG_SECONDS = 0.1

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()


class Settings:
    """What code is generated for: an LLVM triple, a CPU, its features and the effort (0 to 3).

    Less effort may be enough for code that is ``long``.
    """

    def __init__(
        self, triple: str, cpu: str, features: str, effort: int, long: int | None = None
    ) -> None:
        self.triple = triple
        self.cpu = cpu
        self.features = features
        self._efforts = effort, effort if long is None else long
        if triple.split("-")[0] != llvm.get_process_triple().split("-")[0]:
            llvm.initialize_all_targets()
            llvm.initialize_all_asmprinters()
        self._target = llvm.Target.from_triple(triple)
        self._local = threading.local()

    def own_machine(self, *, long: bool) -> Any:
        """This thread's target machine; making one costs as much as a small kernel."""
        name = "for_long" if long else "for_short"
        machine = getattr(self._local, name, None)
        if machine is None:
            machine = self.machine(long=long)
            setattr(self._local, name, machine)
        return machine

    def machine(self, *, long: bool = False) -> Any:
        """A new target machine."""
        return self._target.create_target_machine(
            cpu=self.cpu,
            features=self.features,
            opt=self._efforts[long],
            reloc="pic",
            codemodel="small",
        )


def generate(text: str, settings: Settings, *, assembly: bool = False) -> bytes:
    """Object code (or the assembly) of the LLVM IR ``text``."""
    long = len(text) > _LONG_TEXT
    machine = settings.own_machine(long=long)
    message = ctypes.c_char_p()
    context = _new_context()
    module = memory = None
    try:
        parse = _parse if long else _parse_short
        module = parse(context, text.encode(), ctypes.byref(message))
        if message:
            raise KernelError(f"LLVM cannot read the code of a kernel: {_shown(message)}")
        memory = _emit(machine, module, int(not assembly), ctypes.byref(message))
        if not memory:
            raise KernelError(f"LLVM cannot generate code for a kernel: {_shown(message)}")
        return ctypes.string_at(_start(memory), _size(memory))
    finally:
        if message:
            _end_string(message)
        if memory:
            _end_memory(memory)
        if module:
            _end_module(module)
        _end_context(context)


def _shown(message: ctypes.c_char_p) -> str:
    return (message.value or b"").decode(errors="replace")


def give_back(seconds: float) -> None:
    """Let the system have the memory that compiling for ``seconds`` took, where that is possible.

    LLVM's own pages are most of it.  They take some milliseconds to come back, so they stay where
    little was compiled.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    if seconds >= _LONG_SECONDS:
        unmap(ctypes.cast(_parse, ctypes.c_void_p).value or 0)


def cores_available() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check(text: str) -> None:
    """Raise KernelError unless ``text`` is LLVM IR that LLVM's verifier accepts."""
    context = llvm.create_context()
    try:
        with llvm.parse_assembly(text, context) as module:
            module.verify()
    except RuntimeError as error:
        raise KernelError(f"LLVM rejects the code of a kernel: {error}") from None


def symbols(code: bytes) -> tuple[list[str], list[str]]:
    """The names that the ELF object ``code`` defines for others, and those that it needs."""
    defined: list[str] = []
    needed: list[str] = []
    (sections,) = struct.unpack_from("<Q", code, 0x28)
    size, count = struct.unpack_from("<HH", code, 0x3A)
    headers = [struct.unpack_from("<IIQQQQI", code, sections + i * size) for i in range(count)]
    for _, kind, _, _, offset, length, link in headers:
        if kind != _SYMBOL_TABLE:
            continue
        strings = headers[link][4]
        for place in range(offset, offset + length, _SYMBOL_SIZE):
            name, info, _, section = struct.unpack_from("<IBBH", code, place)
            if name and info >> 4:  # not local
                start = strings + name
                found = code[start : code.index(b"\0", start)].decode()
                (defined if section else needed).append(found)
    return defined, [name for name in needed if name != "_GLOBAL_OFFSET_TABLE_"]


_SYMBOL_TABLE, _SYMBOL_SIZE = 2, 24


class _Engine:
    """One of LLVM's linkers; setting it up costs more than an object, so objects share it."""

    def __init__(self, settings: Settings) -> None:
        # The engine wants a module, and takes the machine over.
        self.linker = llvm.create_mcjit_compiler(llvm.parse_assembly(""), settings.machine())
        self.settings = settings
        self.names: set[str] = set()

    def takes(self, names: set[str], settings: Settings) -> bool:
        """Whether objects with these names can be told from those that are there."""
        room = len(self.names) < _ENGINE_NAMES
        return room and settings is self.settings and not names & self.names


_ENGINE_NAMES = 256
_engines: list[_Engine] = []


def _is_known(name: str) -> bool:
    """Whether LLVM finds ``name`` in this process, or in the C library's mathematics."""
    if llvm.address_of_symbol(name) is not None:
        return True
    # A processor without fused multiply-add calls fma and fmaf.
    path = ctypes.util.find_library("m")
    function = getattr(ctypes.CDLL(path), name, None) if path is not None else None
    if function is None:
        return False
    llvm.add_symbol(name, ctypes.cast(function, ctypes.c_void_p).value)
    return True


_loading = threading.Lock()


def _engine_for(names: set[str], settings: Settings) -> _Engine:
    """An engine for objects that define ``names``."""
    if names and _engines and _engines[0].takes(names, settings):
        engine = _engines[0]
    else:
        engine = _Engine(settings)
        if names:
            # The former one lives on as long as its libraries do.
            _engines[:] = [engine]
    engine.names.update(names)
    return engine


class Library:
    """Object code in this process's memory; its addresses are valid as long as it lives."""

    def __init__(self, objects: Iterable[bytes], settings: Settings) -> None:
        objects = list(objects)
        names: set[str] = set()
        for code in objects:
            if not code.startswith((_ELF, _MACH_O)):
                raise KernelError("what is to be loaded is no object file")
            # Of another format the names are not known; its engine is its own.
            defined, needed = symbols(code) if code.startswith(_ELF) else ([], [])
            names.update(defined)
            for name in needed:
                # LLVM would call the address 0.
                if not _is_known(name):
                    raise KernelError(f"the code of a kernel needs {name!r}, which is not there")
        with _loading:
            self._engine = _engine_for(names, settings)
            for code in objects:
                self._engine.linker.add_object_file(llvm.ObjectFileRef.from_data(code))
            self._engine.linker.finalize_object()
            self._addresses = {
                name: int(self._engine.linker.get_function_address(name)) for name in names
            }

    def address(self, name: str) -> int:
        """Where the function ``name`` starts."""
        address = self._addresses.get(name)
        if not self._addresses:
            address = self._engine.linker.get_function_address(name)
        if not address:
            raise KeyError(f"the object has no function {name!r}")
        return address


_ELF, _MACH_O = b"\x7fELF\x02\x01", b"\xcf\xfa\xed\xfe"

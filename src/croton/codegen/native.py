"""LLVM itself, through llvmlite: IR text to objects, objects to addresses.

llvmlite guards every call with one lock.  Parsing and code generation touch
nothing but the LLVM context and target machine that they are given, so these
calls go around the lock (ctypes releases the GIL) and modules compile in
parallel, each with a context and a machine of its own.
"""

from __future__ import annotations

import ctypes
import os
import struct
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import llvmlite.binding as llvm
from llvmlite.binding import ffi

from croton.kernel.nodes import KernelError

_library = ctypes.CDLL(ffi.lib._name)


def _unlocked(name: str) -> Any:
    """LLVM's function ``name`` without llvmlite's lock."""
    locked, function = getattr(ffi.lib, name), _library[name]
    function.argtypes, function.restype = locked.argtypes, locked.restype
    return function


_parse = _unlocked("LLVMPY_ParseAssembly")
_verify = _unlocked("LLVMPY_VerifyModule")
_emit = _unlocked("LLVMPY_TargetMachineEmitToMemory")

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()


class Settings:
    """What code is generated for: an LLVM triple, a CPU, its features and the effort (0 to 3)."""

    def __init__(self, triple: str, cpu: str, features: str, effort: int) -> None:
        self.triple = triple
        self.cpu = cpu
        self.features = features
        self.effort = effort
        if triple.split("-")[0] != llvm.get_process_triple().split("-")[0]:
            llvm.initialize_all_targets()
            llvm.initialize_all_asmprinters()
        self._target = llvm.Target.from_triple(triple)

    def machine(self) -> Any:
        """A new target machine; a thread must have its own."""
        return self._target.create_target_machine(
            cpu=self.cpu,
            features=self.features,
            opt=self.effort,
            reloc="pic",
            codemodel="small",
        )


def generate(text: str, settings: Settings, *, assembly: bool = False) -> bytes:
    """Object code (or the assembly) of the LLVM IR ``text``."""
    context = llvm.create_context()
    machine = settings.machine()
    with ffi.OutputString() as message:
        module = llvm.ModuleRef(_parse(context, text.encode(), message), context)
        if message:
            module.close()
            raise KernelError(f"LLVM cannot read the code of a kernel: {message}")
    with module, ffi.OutputString() as message:
        memory = _emit(machine, module, int(not assembly), message)
        if not memory:
            raise KernelError(f"LLVM cannot generate code for a kernel: {message}")
        try:
            start = ffi.lib.LLVMPY_GetBufferStart(memory)
            return ctypes.string_at(start, ffi.lib.LLVMPY_GetBufferSize(memory))
        finally:
            ffi.lib.LLVMPY_DisposeMemoryBuffer(memory)


def generate_many(texts: Sequence[str], settings: Settings) -> list[bytes]:
    """Object code of each of ``texts``, on as many cores as this process may use."""
    cores = min(len(texts), cores_available())
    if cores < 2:
        return [generate(text, settings) for text in texts]
    with ThreadPoolExecutor(cores) as pool:
        return list(pool.map(lambda text: generate(text, settings), texts))


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


def undefined(code: bytes) -> list[str]:
    """The names that the ELF object ``code`` needs from elsewhere."""
    if not code.startswith(b"\x7fELF\x02\x01"):
        return []
    (sections,) = struct.unpack_from("<Q", code, 0x28)
    size, count = struct.unpack_from("<HH", code, 0x3A)
    headers = [struct.unpack_from("<IIQQQQI", code, sections + i * size) for i in range(count)]
    names = []
    for _, kind, _, _, offset, length, link in headers:
        if kind != _SYMBOL_TABLE:
            continue
        strings = headers[link][4]
        for place in range(offset, offset + length, _SYMBOL_SIZE):
            name, _, _, section = struct.unpack_from("<IBBH", code, place)
            if name and section == 0:
                start = strings + name
                names.append(code[start : code.index(b"\0", start)].decode())
    return [name for name in names if name != "_GLOBAL_OFFSET_TABLE_"]


_SYMBOL_TABLE, _SYMBOL_SIZE = 2, 24


class Library:
    """Object code in this process's memory; its addresses are valid as long as it lives."""

    def __init__(self, objects: Iterable[bytes], settings: Settings) -> None:
        machine = settings.machine()
        objects = list(objects)
        for name in {name for code in objects for name in undefined(code)}:
            # LLVM would call the address 0.
            if llvm.address_of_symbol(name) is None:
                raise KernelError(f"the code of a kernel needs {name!r}, which is not there")
        with _loading:
            # The engine wants a module, and takes the machine over.
            self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
            for code in objects:
                self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
            self._engine.finalize_object()

    def address(self, name: str) -> int:
        """Where the function ``name`` starts."""
        address = self._engine.get_function_address(name)
        if not address:
            raise KeyError(f"the object has no function {name!r}")
        return int(address)


_loading = threading.Lock()

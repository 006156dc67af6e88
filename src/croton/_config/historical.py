"""Flags of Theano's that name parts which Croton does not have.

Programs and ``.theanorc`` files set them, so they are accepted, checked and readable;
they change nothing.  Each group says why.
"""

from __future__ import annotations

from croton._config.flag import Flag

_CUDA = "Of Theano's CUDA back ends."
_CUDNN = "Of Theano's use of cuDNN."
_COMPILER = "Of Theano's C compiler; Croton generates machine code itself."
_CACHE = "Of Theano's cache of C modules; Croton's needs no lock, clean-up or version check."
_PROFILE = "Of the layout of Theano's profile."
_DEBUG = "Of Theano's DebugMode, which compared its C code with its Python code."
_OPTIMIZER = "Of the inside of Theano's optimiser."
_BUG = "Announced a bug of an old version of Theano."
_LATER = "Not there yet."
_NUMPY = "Changed NumPy's error state for the whole process; Croton leaves it alone."
_PICKLE = "Of how Theano's functions were pickled."

_SETERR = ("None", "ignore", "warn", "raise", "call", "print", "log")
_TEST_VALUE = ("off", "ignore", "warn", "raise", "pdb")
_VERSIONS = (
    *("None", "all", "0.3", "0.4", "0.4.1", "0.5", "0.6", "0.7", "0.8", "0.8.1", "0.8.2"),
    *("0.9", "0.10", "1.0", "1.0.1", "1.0.2", "1.0.3", "1.0.4", "1.0.5"),
)


def _past(
    name: str,
    kind: str,
    default: object,
    doc: str,
    choices: tuple[str, ...] = (),
    at_least: float | None = None,
) -> Flag:
    return Flag(name, kind, default, doc, choices, at_least, effect=False)


HISTORICAL: tuple[Flag, ...] = (
    # What Croton has no counterpart of yet
    _past("warn_float64", "choice", "ignore", _LATER, ("ignore", "warn", "raise", "pdb")),
    _past("compute_test_value", "choice", "off", _LATER, _TEST_VALUE),
    _past("compute_test_value_opt", "choice", "off", _LATER, _TEST_VALUE),
    _past("print_test_value", "bool", False, _LATER),
    _past("traceback.limit", "int", 8, _LATER, at_least=-1),
    _past("profile_memory", "bool", False, _LATER),
    _past("NanGuardMode.nan_is_error", "bool", True, _LATER),
    _past("NanGuardMode.inf_is_error", "bool", True, _LATER),
    _past("NanGuardMode.big_is_error", "bool", True, _LATER),
    _past("NanGuardMode.action", "choice", "raise", _LATER, ("raise", "warn", "pdb")),
    _past("allow_gc", "bool", True, "Of memory after a call; Croton keeps it for the next."),
    # CUDA
    _past("init_gpu_device", "device", "", _CUDA),
    _past("contexts", "str", "", _CUDA),
    _past("print_active_device", "bool", True, _CUDA),
    _past("assert_no_cpu_op", "choice", "ignore", _CUDA, ("ignore", "warn", "raise", "pdb")),
    _past("enable_initial_driver_test", "bool", True, _CUDA),
    _past("gpu.local_elemwise_fusion", "bool", True, _CUDA),
    _past("gpuelemwise.sync", "bool", True, _CUDA),
    _past("gpuarray.init_device", "str", "", _CUDA),
    _past("gpuarray.sync", "bool", False, _CUDA),
    _past("gpuarray.preallocate", "float", 0.0, _CUDA),
    _past("gpuarray.sched", "choice", "default", _CUDA, ("default", "multi", "single")),
    _past("gpuarray.single_stream", "bool", True, _CUDA),
    _past("gpuarray.cache_path", "path", "", _CUDA),
    _past("lib.cnmem", "float", 0.0, "Of Theano's GPU memory pool.", at_least=0),
    _past("pycuda.init", "bool", False, _CUDA),
    _past("cuda.root", "path", "", _CUDA),
    _past("cuda.include_path", "path", "", _CUDA),
    _past("cuda.nvccflags", "str", "", _CUDA),
    _past("cublas.lib", "str", "cublas", _CUDA),
    _past("nvcc.fastmath", "bool", False, "Of nvcc; Croton's mathematics is exact to 2 ULP."),
    _past("nvcc.flags", "str", "", _CUDA),
    _past("nvcc.compiler_bindir", "path", "", _CUDA),
    _past("nvcc.cudafe", "choice", "heuristic", _CUDA, ("heuristic", "always", "never")),
    _past("magma.enabled", "bool", False, _CUDA),
    _past("magma.include_path", "path", "", _CUDA),
    _past("magma.library_path", "path", "", _CUDA),
    _past("ctc.root", "path", "", "Of Theano's binding to Baidu's CTC library."),
    # cuDNN
    _past("dnn.enabled", "choice", "auto", _CUDNN, ("auto", "True", "False", "no_check")),
    _past("dnn.base_path", "path", "", _CUDNN),
    _past("dnn.include_path", "path", "", _CUDNN),
    _past("dnn.library_path", "path", "", _CUDNN),
    _past("dnn.bin_path", "path", "", _CUDNN),
    _past("dnn.conv.workmem", "str", "", _CUDNN),
    _past("dnn.conv.workmem_bwd", "str", "", _CUDNN),
    _past("dnn.conv.algo_bwd", "str", "", _CUDNN),
    _past(
        "dnn.conv.precision",
        "choice",
        "as_input_f32",
        _CUDNN,
        ("as_input_f32", "as_input", "float16", "float32", "float64"),
    ),
    # The C compiler.  The names of a compiler and of a BLAS are not empty: programs take
    # an empty one to mean that compiled code, or a fast product, cannot be had.
    _past("cxx", "str", "g++", _COMPILER),
    _past("gcc.cxxflags", "str", "", _COMPILER),
    _past("blas.ldflags", "str", "-lblas", "Of Theano's BLAS; Croton brings its own."),
    _past("blas.check_openmp", "bool", True, "Of Theano's BLAS; Croton brings its own."),
    _past("lib.amdlibm", "bool", False, _COMPILER),
    _past("check_input", "bool", True, _COMPILER),
    _past("cmodule.mac_framework_link", "bool", False, _COMPILER),
    _past("cmodule.warn_no_version", "bool", False, _COMPILER),
    _past("cmodule.remove_gxx_opt", "bool", False, _COMPILER),
    _past("cmodule.compilation_warning", "bool", False, _COMPILER),
    _past("cmodule.debug", "bool", False, _COMPILER),
    _past("openmp", "bool", False, "Of OpenMP; `threads` says how many threads are used."),
    _past("openmp_elemwise_minsize", "int", 200000, "Of OpenMP; the schedule decides.", (), 0),
    _past(
        "linker",
        "choice",
        "cvm",
        "Chose what ran a graph; `mode=reference` runs it in Python.",
        (
            *("cvm", "c|py", "py", "c", "c|py_nogc", "c&py"),
            *("vm", "vm_nogc", "cvm_nogc"),
        ),
    ),
    _past("vm.lazy", "choice", "None", _COMPILER, ("None", "True", "False")),
    # The cache of C modules
    _past("cmodule.preload_cache", "bool", False, _CACHE),
    _past("cmodule.age_thresh_use", "int", 60 * 60 * 24 * 24, _CACHE),
    _past("compile.wait", "int", 5, _CACHE, at_least=1),
    _past("compile.timeout", "int", 120, _CACHE, at_least=0),
    _past(
        "compiledir_format",
        "str",
        "compiledir_%(short_platform)s-%(processor)s-%(python_version)s-%(python_bitwidth)s",
        _CACHE,
    ),
    _past("nocleanup", "bool", False, _CACHE),
    _past("home", "path", "~", _CACHE),
    # The optimiser
    _past("optimizer_verbose", "bool", False, _OPTIMIZER),
    _past("optimizer_requiring", "str", "", _OPTIMIZER),
    _past(
        "on_opt_error",
        "choice",
        "warn",
        "Of a failing optimisation; a failing rule raises in Croton.",
        ("warn", "raise", "pdb", "ignore"),
    ),
    _past("on_shape_error", "choice", "warn", _OPTIMIZER, ("warn", "raise")),
    _past("cache_optimizations", "bool", False, _OPTIMIZER),
    _past("check_stack_trace", "choice", "off", _OPTIMIZER, ("off", "log", "warn", "raise")),
    _past("cycle_detection", "choice", "regular", _OPTIMIZER, ("regular", "fast")),
    _past("deterministic", "choice", "default", "Croton is always.", ("default", "more")),
    _past("conv.assert_shape", "bool", False, "Of Theano's convolution."),
    _past("experimental.local_alloc_elemwise", "bool", True, _OPTIMIZER),
    _past("experimental.local_alloc_elemwise_assert", "bool", True, _OPTIMIZER),
    _past("experimental.mrg", "bool", False, _OPTIMIZER),
    _past("experimental.unpickle_gpu_on_cpu", "bool", False, _PICKLE),
    _past("metaopt.verbose", "int", 0, _OPTIMIZER),
    _past("metaopt.optimizer_excluding", "str", "", _OPTIMIZER),
    _past("metaopt.optimizer_including", "str", "", _OPTIMIZER),
    _past("op.set_flops", "bool", False, _OPTIMIZER),
    _past("optdb.position_cutoff", "float", float("inf"), _OPTIMIZER),
    _past("optdb.max_use_ratio", "float", 8.0, _OPTIMIZER),
    _past("scan.allow_gc", "bool", False, _OPTIMIZER),
    _past("scan.allow_output_prealloc", "bool", True, _OPTIMIZER),
    _past("scan.debug", "bool", False, _OPTIMIZER),
    _past("shared.value_borrows", "bool", False, _OPTIMIZER),
    _past("tensor.cmp_sloppy", "int", 0, _OPTIMIZER, at_least=0),
    _past("tensor.local_elemwise_fusion", "bool", True, _OPTIMIZER),
    _past("tensor.insert_inplace_optimizer_validate_nb", "int", -1, _OPTIMIZER),
    _past("time_eq_optimizer", "bool", False, _OPTIMIZER),
    _past("time_seq_optimizer", "bool", False, _OPTIMIZER),
    # Profiles
    _past("profile_optimizer", "bool", False, _PROFILE),
    _past("print_global_stats", "bool", False, _PROFILE),
    _past("profiling.time_thunks", "bool", True, _PROFILE),
    _past("profiling.n_apply", "int", 20, _PROFILE, at_least=1),
    _past("profiling.n_ops", "int", 20, _PROFILE, at_least=1),
    _past("profiling.output_line_width", "int", 512, _PROFILE, at_least=1),
    _past("profiling.min_memory_size", "int", 1024, _PROFILE, at_least=0),
    _past("profiling.min_peak_memory", "bool", False, _PROFILE),
    _past("profiling.destination", "str", "stderr", _PROFILE),
    _past("profiling.debugprint", "bool", False, _PROFILE),
    _past("profiling.ignore_first_call", "bool", False, _PROFILE),
    _past("ProfileMode.n_apply_to_print", "int", 15, _PROFILE, at_least=1),
    _past("ProfileMode.n_ops_to_print", "int", 20, _PROFILE, at_least=1),
    _past("ProfileMode.min_memory_size", "int", 1024, _PROFILE, at_least=0),
    _past("ProfileMode.profile_memory", "bool", False, _PROFILE),
    # Debugging
    _past("traceback.compile_limit", "int", 0, _OPTIMIZER),
    _past("DebugMode.patience", "int", 10, _DEBUG, at_least=1),
    _past("DebugMode.check_c", "bool", True, _DEBUG),
    _past("DebugMode.check_py", "bool", True, _DEBUG),
    _past("DebugMode.check_finite", "bool", True, _DEBUG),
    _past("DebugMode.check_strides", "int", 0, _DEBUG, at_least=0),
    _past("DebugMode.warn_input_not_reused", "bool", True, _DEBUG),
    _past("DebugMode.check_preallocated_output", "str", "", _DEBUG),
    _past("DebugMode.check_preallocated_output_ndim", "int", 4, _DEBUG, at_least=1),
    _past("unittests.rseed", "str", "666", "The seed of Theano's own tests."),
    # Pickles
    _past("pickle_test_value", "bool", True, _PICKLE),
    _past("unpickle_function", "bool", True, _PICKLE),
    _past("reoptimize_unpickled_function", "bool", False, _PICKLE),
    # NumPy's error state
    _past("numpy.seterr_all", "choice", "None", _NUMPY, _SETERR),
    _past("numpy.seterr_divide", "choice", "None", _NUMPY, _SETERR),
    _past("numpy.seterr_over", "choice", "None", _NUMPY, _SETERR),
    _past("numpy.seterr_under", "choice", "None", _NUMPY, _SETERR),
    _past("numpy.seterr_invalid", "choice", "None", _NUMPY, _SETERR),
    # Old bugs
    _past("warn.ignore_bug_before", "choice", "0.9", _BUG, _VERSIONS),
    _past("warn.argmax_pushdown_bug", "bool", False, _BUG),
    _past("warn.gpusum_01_011_0111_bug", "bool", False, _BUG),
    _past("warn.sum_sum_bug", "bool", False, _BUG),
    _past("warn.sum_div_dimshuffle_bug", "bool", False, _BUG),
    _past("warn.subtensor_merge_bug", "bool", False, _BUG),
    _past("warn.gpu_set_subtensor1", "bool", False, _BUG),
    _past("warn.vm_gc_bug", "bool", False, _BUG),
    _past("warn.signal_conv2d_interface", "bool", False, _BUG),
    _past("warn.reduce_join", "bool", False, _BUG),
    _past("warn.inc_set_subtensor1", "bool", False, _BUG),
    _past("warn.inc_subtensor1_opt", "bool", False, _BUG),
    _past("warn.identify_1pexp_bug", "bool", False, _BUG),
    _past("warn.round", "bool", False, _BUG),
)

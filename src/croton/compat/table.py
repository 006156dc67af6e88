"""Where the names of each module of Theano's are: its name, then the modules to look in.

``=`` stands for the places of another line.
"""

from __future__ import annotations

_TABLE = """
theano            croton.compat.theano.toplevel croton croton.graph croton.loop

theano.tensor     croton.compat.theano.tensor croton.tensor croton.gradient croton.graph
theano.tensor.basic                 = theano.tensor
theano.tensor.blas                  = theano.tensor
theano.tensor.elemwise              = theano.tensor
theano.tensor.extra_ops             = theano.tensor
theano.tensor.fft                   = theano.tensor
theano.tensor.fourier               = theano.tensor
theano.tensor.inplace               = theano.tensor
theano.tensor.io                    = theano.tensor
theano.tensor.nlinalg               = theano.tensor
theano.tensor.opt                   = theano.tensor
theano.tensor.shape                 = theano.tensor
theano.tensor.sharedvar             = theano.tensor
theano.tensor.slinalg               = theano.tensor
theano.tensor.sort                  = theano.tensor
theano.tensor.subtensor             = theano.tensor
theano.tensor.type                  = theano.tensor
theano.tensor.type_other            = theano.tensor
theano.tensor.utils                 = theano.tensor
theano.tensor.var                   = theano.tensor
theano.tensor.xlogx                 = theano.tensor
theano.tensor.raw_random            = theano.tensor

theano.tensor.nnet                  croton.compat.theano.nnet croton.tensor.nnet
theano.tensor.nnet.abstract_conv    = theano.tensor.nnet
theano.tensor.nnet.blocksparse      = theano.tensor.nnet
theano.tensor.nnet.bn               = theano.tensor.nnet
theano.tensor.nnet.conv             = theano.tensor.nnet
theano.tensor.nnet.conv3d2d         croton.tensor.nnet.conv3d2d croton.tensor.nnet
theano.tensor.nnet.Conv3D           = theano.tensor.nnet
theano.tensor.nnet.ConvGrad3D       = theano.tensor.nnet
theano.tensor.nnet.ConvTransp3D     = theano.tensor.nnet
theano.tensor.nnet.corr             = theano.tensor.nnet
theano.tensor.nnet.corr3d           = theano.tensor.nnet
theano.tensor.nnet.ctc              = theano.tensor.nnet
theano.tensor.nnet.neighbours       = theano.tensor.nnet
theano.tensor.nnet.nnet             = theano.tensor.nnet
theano.tensor.nnet.sigm             = theano.tensor.nnet

theano.tensor.signal                croton.tensor.signal
theano.tensor.signal.conv           croton.tensor.signal.conv
theano.tensor.signal.downsample     = theano.tensor.signal
theano.tensor.signal.pool           = theano.tensor.signal

theano.tensor.shared_randomstreams  croton.tensor.random
theano.sandbox.rng_mrg              croton.tensor.random

theano.compile                      croton.compile croton.compat.theano.ops croton croton.graph
theano.compile.builders             = theano.compile
theano.compile.debugmode            = theano.compile
theano.compile.function             = theano.compile
theano.compile.function_module      = theano.compile
theano.compile.io                   = theano.compile
theano.compile.mode                 = theano.compile
theano.compile.monitormode          = theano.compile
theano.compile.nanguardmode         = theano.compile
theano.compile.ops                  = theano.compile
theano.compile.pfunc                = theano.compile
theano.compile.profilemode          = theano.compile
theano.compile.profiling            = theano.compile
theano.compile.sharedvalue          = theano.compile

theano.gof                          croton.graph croton.compat.theano.graph croton.compile croton
theano.gof.cc                       = theano.gof
theano.gof.fg                       = theano.gof
theano.gof.graph                    = theano.gof
theano.gof.link                     = theano.gof
theano.gof.null_type                croton.gradient
theano.gof.op                       = theano.gof
theano.gof.opt                      = theano.gof
theano.gof.toolbox                  = theano.gof
theano.gof.type                     = theano.gof
theano.gof.utils                    = theano.gof
theano.gof.compilelock              croton.compat.theano.lock

theano.gradient                     croton.gradient
theano.printing                     croton.printing
theano.ifelse                       croton.loop
theano.scan_module                  croton.loop croton.compat.theano.graph croton.graph
theano.scan_module.scan             = theano.scan_module
theano.scan_module.scan_op          = theano.scan_module
theano.scan_module.scan_utils       = theano.scan_module
theano.scan_module.scan_views       = theano.scan_module
theano.updates                      = theano
theano.raise_op                     = theano.tensor
theano.version                      croton.compat.theano.version
theano.configparser                 croton.compat.theano.configparser
theano.configdefaults               croton.compat.theano.configparser

theano.scalar                       croton.compat.theano.scalar
theano.scalar.basic                 = theano.scalar
theano.scalar.basic_scipy           = theano.scalar
theano.scalar.sharedvar             = theano.scalar

theano.sparse                       croton.compat.theano.sparse
theano.sparse.basic                 = theano.sparse
theano.sparse.type                  = theano.sparse
theano.sparse.sharedvar             = theano.sparse

theano.misc                         croton.compat.theano.toplevel
theano.misc.safe_asarray            = theano.misc
theano.misc.strutil                 = theano.misc
theano.misc.ordered_set             = theano.misc

theano.compat                       croton.compat.theano.python
theano.compat.python2x              = theano.compat
theano.compat.six                   six
theano.compat.six.moves             six.moves

theano.sandbox                      croton.compat.theano.sandbox
theano.sandbox.conv                 = theano.tensor.signal.conv
theano.sandbox.linalg               = theano.tensor
theano.sandbox.linalg.ops           = theano.tensor
theano.sandbox.neighbours           = theano.tensor.nnet
theano.sandbox.softsign             = theano.tensor.nnet
theano.sandbox.cuda                 croton.compat.theano.cuda
theano.sandbox.cuda.basic_ops       = theano.sandbox.cuda
theano.sandbox.cuda.blas            = theano.sandbox.cuda
theano.sandbox.cuda.type            = theano.sandbox.cuda
theano.sandbox.cuda.var             = theano.sandbox.cuda
theano.sandbox.cuda.rng_curand      croton.tensor.random
theano.sandbox.cuda.dnn             croton.compat.theano.dnn
theano.sandbox.gpuarray             croton.compat.theano.gpuarray
theano.sandbox.gpuarray.dnn         croton.compat.theano.dnn
theano.gpuarray                     croton.compat.theano.gpuarray
theano.gpuarray.basic_ops           = theano.gpuarray
theano.gpuarray.type                = theano.gpuarray
theano.gpuarray.dnn                 croton.compat.theano.dnn

theano.tests                        croton.compat.theano.testing
theano.tests.unittest_tools         = theano.tests
"""


def _read(table: str) -> dict[str, tuple[str, ...]]:
    modules: dict[str, tuple[str, ...]] = {}
    for line in table.splitlines():
        if not line.strip():
            continue
        name, *places = line.split()
        modules[name] = modules[places[1]] if places[0] == "=" else tuple(places)
    return modules


MODULES = _read(_TABLE)
"""Module of Theano's -> the modules that its names are looked up in, in order."""

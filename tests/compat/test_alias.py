"""``import theano`` finds Croton's objects, and says clearly what is not there."""

import importlib
import subprocess
import sys

import pytest

import croton
from croton import compat
from croton.compat import truth
from croton.compat.table import MODULES


@pytest.fixture(autouse=True, scope="module")
def theano():
    compat.install_as_theano()
    import theano

    yield theano
    for name in [n for n in sys.modules if n == "theano" or n.startswith("theano.")]:
        del sys.modules[name]
    truth.uninstall()
    sys.meta_path[:] = [f for f in sys.meta_path if type(f).__name__ != "AliasFinder"]


def exists(place):
    try:
        importlib.import_module(place)
    except ModuleNotFoundError:
        return False
    return True


def test_objects_are_ours(theano):
    import theano.tensor as T
    from theano import config, tensor

    import croton.tensor as ours

    assert T is tensor is theano.tensor
    assert T.exp is ours.exp
    assert T.nnet.sigmoid is ours.nnet.sigmoid
    assert config is croton.config is theano.config
    assert theano.theano is theano
    assert isinstance(T.scalar(), ours.TensorVariable)


def test_old_homes_of_names(theano):
    import theano.tensor.basic
    from theano.gof.graph import Apply, Constant, Variable
    from theano.tensor.elemwise import Elemwise
    from theano.tensor.nnet.nnet import softmax
    from theano.tensor.sharedvar import TensorSharedVariable
    from theano.tensor.type import TensorType
    from theano.tensor.var import TensorConstant, TensorVariable

    T = theano.tensor
    assert T.Elemwise is Elemwise is theano.tensor.basic.Elemwise
    assert T.sharedvar.TensorSharedVariable is TensorSharedVariable
    assert softmax is T.nnet.softmax
    x = T.vector()
    assert isinstance(x, TensorVariable)
    assert isinstance(x, Variable)
    assert isinstance(x.type, TensorType)
    assert isinstance(T.exp(x).owner.op, T.Elemwise)
    assert isinstance(T.exp(x).owner, Apply)
    assert isinstance(T.constant(1), TensorConstant)
    assert isinstance(T.constant(1), Constant)


def test_functions_around_networks_in_all_their_homes(theano):
    import theano.tensor.nnet.Conv3D
    from theano.gpuarray.dnn import dnn_batch_normalization_train, dnn_spatialtf
    from theano.sandbox.neighbours import images2neibs
    from theano.tensor.nnet import batch_normalization, bn, conv3d2d, neighbours
    from theano.tensor.nnet.abstract_conv import bilinear_upsampling
    from theano.tensor.nnet.Conv3D import conv3D
    from theano.tensor.nnet.conv3d2d import conv3d

    import croton.tensor.nnet as ours
    from croton.compat.theano import dnn

    assert bn.batch_normalization_train is ours.batch_normalization_train
    assert batch_normalization is bn.batch_normalization is ours.batch_normalization
    assert images2neibs is neighbours.images2neibs is ours.images2neibs
    assert bilinear_upsampling is ours.bilinear_upsampling
    assert conv3d is conv3d2d.conv3d is ours.conv3d2d.conv3d
    assert theano.tensor.nnet.conv3d is ours.conv3d is not conv3d
    assert theano.tensor.nnet.Conv3D is ours.Conv3D
    assert conv3D is ours.conv3D
    assert dnn_spatialtf is ours.spatial_transformer
    assert dnn_batch_normalization_train is dnn.dnn_batch_normalization_train


def test_convolution_and_pooling_in_all_their_homes(theano):
    import numpy as np
    from theano.sandbox.cuda import dnn
    from theano.tensor.nnet import abstract_conv, conv, conv2d
    from theano.tensor.nnet.abstract_conv import AbstractConv2d_gradInputs
    from theano.tensor.signal import downsample, pool
    from theano.tensor.signal.conv import conv2d as plain
    from theano.tensor.signal.downsample import max_pool_2d

    import croton.tensor as ours

    T = theano.tensor
    assert conv2d is conv.conv2d is abstract_conv.conv2d is ours.nnet.conv2d
    assert plain is ours.signal.conv.conv2d
    assert plain is not conv2d
    assert AbstractConv2d_gradInputs is ours.nnet.AbstractConv2d_gradInputs
    assert max_pool_2d is downsample.max_pool_2d is pool.pool_2d is ours.signal.pool_2d
    rng = np.random.default_rng(0)
    x, w = T.constant(rng.normal(size=(2, 3, 6, 6))), T.constant(rng.normal(size=(4, 3, 3, 3)))
    old = conv.conv2d(x, w, image_shape=(2, 3, 6, 6), filter_shape=(4, 3, 3, 3))
    np.testing.assert_array_equal(old.eval(), dnn.dnn_conv(x, w).eval())
    np.testing.assert_array_equal(
        dnn.dnn_conv(x, w, (1, 1), (2, 2), conv_mode="cross").eval(),
        conv2d(x, w, border_mode=1, subsample=(2, 2), filter_flip=False).eval(),
    )
    np.testing.assert_array_equal(
        dnn.dnn_pool(x, (3, 3), pad=(1, 1), mode="average").eval(),
        pool.pool_2d(x, (3, 3), True, (1, 1), (1, 1), "average_inc_pad").eval(),
    )
    volume = T.ones((1, 1, 3, 3, 3))
    assert dnn.dnn_conv3d(volume, T.ones((1, 1, 2, 2, 2))).eval().shape == (1, 1, 2, 2, 2)
    assert dnn.dnn_pool(volume, (2, 2, 2), (1, 2, 2)).eval().shape == (1, 1, 2, 1, 1)
    with pytest.raises(TypeError, match="rank 4"):
        dnn.dnn_pool(x, (2, 2, 2))
    with pytest.raises(ValueError, match="conv_mode"):
        dnn.dnn_conv(x, w, conv_mode="full")


@pytest.mark.parametrize("name", sorted(MODULES))
def test_every_module_can_be_imported(name):
    if not exists(MODULES[name][0]):
        with pytest.raises(ImportError, match=r"does not have theano\..* \(yet\)|install six"):
            importlib.import_module(name)
        return
    module = importlib.import_module(name)
    assert module.__name__ == name
    assert isinstance(dir(module), list)
    for public in dir(module):
        getattr(module, public)


@pytest.mark.parametrize("name", ["theano", "theano.tensor", "theano.sandbox.cuda"])
def test_what_is_missing_says_so(name):
    module = importlib.import_module(name)
    with pytest.raises(AttributeError, match=rf"croton does not have {name}\.nothing \(yet\)"):
        module.nothing  # noqa: B018
    with pytest.raises(ImportError, match=rf"croton does not have {name}\.nothing \(yet\)"):
        exec(f"from {name} import nothing")
    with pytest.raises(ImportError, match=rf"croton does not have {name}\.nothing \(yet\)"):
        importlib.import_module(f"{name}.nothing")
    assert not hasattr(module, "nothing")


def test_versions(theano):
    from theano.version import version

    parts = tuple(int(part) for part in version.split("+")[0].split("."))
    assert parts >= (0, 9)
    assert theano.__version__ == version == "1.0.5+croton"


def test_star(theano):
    names = {}
    exec("from theano.tensor import *", names)
    assert names["exp"] is theano.tensor.exp
    assert "_asarray" not in names


def test_setting_a_name_is_seen(theano):
    theano.tensor.of_mine = 3
    assert theano.tensor.of_mine == 3
    del theano.tensor.of_mine
    assert not hasattr(theano.tensor, "of_mine")


def test_a_function_is_not_hidden_by_the_module_of_its_name(theano):
    import theano.compile.function

    assert not isinstance(theano.compile.function, type(sys))


def test_the_truth_of_a_variable(theano):
    x, y = theano.tensor.vectors("x", "y")
    assert x
    assert theano.shared(0.0)
    assert theano.tensor.exp(x)
    for comparison in (x < y, x >= y):
        with pytest.raises(TypeError, match="no truth value"):
            bool(comparison)


def test_no_gpu(theano):
    from theano.sandbox import cuda
    from theano.sandbox.cuda import dnn

    assert not cuda.cuda_available
    assert not cuda.cuda_enabled
    assert not dnn.dnn_available()
    assert "cuDNN" in dnn.dnn_available.msg
    assert not isinstance(theano.tensor.vector().type, cuda.CudaNdarrayType)
    with pytest.raises(RuntimeError, match="not part of Croton"):
        cuda.CudaNdarray([1])
    with pytest.raises(OSError, match="no such device"):
        cuda.use("gpu0", force=True)
    with pytest.raises(ImportError, match=r"theano\.sandbox\.cuda\.dnn\.GpuDnnPool"):
        from theano.sandbox.cuda.dnn import GpuDnnPool  # noqa: F401


def test_a_use_of_the_gpu_warns(theano, caplog):
    from theano.sandbox import cuda

    cuda.use("gpu")
    assert "using the CPU" in caplog.text


def test_flags_of_a_package(theano):
    from theano.configparser import AddConfigVar, BoolParam, EnumStr, IntParam, StrParam

    name = f"of_tests.{id(theano)}_"
    AddConfigVar(name + "s", "A string.", StrParam("x"))
    AddConfigVar(name + "n", "A number.", IntParam(3, lambda n: n > 0))
    AddConfigVar(name + "b", "A truth.", BoolParam(lambda: True))
    AddConfigVar(name + "e", "A choice.", EnumStr("one", "two"))
    section = theano.config.of_tests
    start = name.partition(".")[2]
    assert [getattr(section, start + end) for end in "snbe"] == ["x", 3, True, "one"]
    setattr(section, start + "e", "two")
    with pytest.raises(ValueError, match="one of one, two"):
        setattr(section, start + "e", "three")
    with theano.configparser.change_flags(floatX="float16"):
        assert theano.config.floatX == "float16"
    with pytest.raises(ValueError, match="is not valid"):
        AddConfigVar(name + "w", "A wrong one.", IntParam(-1, lambda n: n > 0))


def test_arrays_of_floatx(theano):
    with theano.config.change_flags(floatX="float32"):
        assert theano._asarray([1, 2], dtype="floatX").dtype == "float32"
    assert theano._asarray([1, 2], dtype="int8").dtype == "int8"


def test_help_for_python2(theano):
    from theano.compat import DefaultOrderedDict, cmp, exc_message, get_unbound_function

    assert (cmp(1, 2), cmp(2, 2), cmp(3, 2)) == (-1, 0, 1)
    assert exc_message(ValueError(KeyError("inner"))) == "inner"
    assert get_unbound_function(theano.compat.b) is theano.compat.b
    made = DefaultOrderedDict(list)
    made["a"].append(1)
    assert dict(made) == {"a": [1]}


def test_installing_after_another_theano():
    code = (
        "import sys, types; sys.modules['theano'] = types.ModuleType('theano')\n"
        "import croton.compat\n"
        "try: croton.compat.install_as_theano()\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "theano is imported already" in done.stdout


def test_installing_twice_changes_nothing():
    before = list(sys.meta_path)
    compat.install_as_theano()
    assert sys.meta_path == before


def test_loops_are_where_theano_had_them(theano):
    import theano.gradient
    import theano.ifelse
    import theano.tensor as T
    from theano import foldl, foldr, reduce, scan, scan_checkpoints
    from theano.scan_module import scan_utils, until
    from theano.scan_module.scan_op import Scan
    from theano.scan_module.scan_views import map as scan_map

    from croton import loop

    assert (scan, until, Scan) == (loop.scan, loop.until, loop.Scan)
    assert theano.scan_module.scan is not None and scan_utils.until is until
    assert (theano.map, scan_map, reduce) == (loop.map, loop.map, loop.reduce)
    assert (foldl, foldr, scan_checkpoints) == (loop.foldl, loop.foldr, loop.scan_checkpoints)
    assert theano.ifelse.ifelse is loop.ifelse is croton.ifelse
    assert theano.gradient.jacobian is T.jacobian is loop.jacobian
    assert theano.gradient.hessian is T.hessian is loop.hessian
    assert theano.updates.OrderedUpdates is theano.OrderedUpdates is loop.OrderedUpdates

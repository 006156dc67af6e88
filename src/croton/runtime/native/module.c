/* The extension module croton.runtime._native. */
#define CROTON_IMPORT_ARRAY
#include "croton.h"

static PyObject *set_threads(PyObject *module, PyObject *value)
{
    (void)module;
    long count = PyLong_AsLong(value);
    if (count == -1 && PyErr_Occurred())
        return NULL;
    if (count < 1) {
        PyErr_Format(PyExc_ValueError, "expected at least 1 thread, not %ld", count);
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    pool_set_threads(count > INT32_MAX ? INT32_MAX : (int)count);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *thread_count(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return PyLong_FromLong(pool_threads());
}

static PyObject *pool_counts(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return pool_statistics();
}

static PyObject *memory_counts(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return blocks_statistics();
}

static PyObject *release_memory(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return PyLong_FromSize_t(blocks_release());
}

static PyMethodDef functions[] = {
    {"set_threads", set_threads, METH_O,
     "set_threads(count)\n--\n\nHow many threads a call may use, the calling one included."},
    {"thread_count", thread_count, METH_NOARGS, "What set_threads was given (at most 512)."},
    {"pool_statistics", pool_counts, METH_NOARGS,
     "What the pool did: jobs spread over threads, run alone, run alone because the pool was\n"
     "taken; how often it woke workers, and workers went to sleep.  Roughly counted."},
    {"memory_statistics", memory_counts, METH_NOARGS,
     "Memory kept for later calls, and how often it served."},
    {"release_memory", release_memory, METH_NOARGS,
     "Give the memory kept for later calls back to the system: how many bytes it was."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "croton.runtime._native",
    .m_doc = "Runs programs.",
    .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__native(void)
{
    import_array();
    if (PyType_Ready(&Buffer_Type) < 0)
        return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (!module)
        return NULL;
    PyObject *codes = plan_codes();
    if (PyModule_AddType(module, &Cell_Type) < 0 || PyModule_AddType(module, &Callable_Type) < 0 ||
        PyModule_AddObjectRef(module, "CODES", codes) < 0)
        goto error;
    Py_DECREF(codes);
    if (memory_prepare() || pool_prepare() || cells_prepare()) {
        PyErr_SetString(PyExc_RuntimeError, "cannot register what happens at fork and exit");
        Py_DECREF(module);
        return NULL;
    }
    return module;
error:
    Py_XDECREF(codes);
    Py_DECREF(module);
    return NULL;
}

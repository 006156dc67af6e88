/* Reads the words that croton/runtime/encode.py wrote; their layout is described there. */
#include "croton.h"

#include <string.h>

enum { FORMAT = 7 };

typedef struct {
    const int64_t *next, *end;
    bool short_of_words;
} Reader;

static int64_t word(Reader *reader)
{
    if (reader->next >= reader->end) {
        reader->short_of_words = true;
        return 0;
    }
    return *reader->next++;
}

/* A count of things that take at least `size` words each. */
static int64_t count(Reader *reader, int64_t size)
{
    int64_t n = word(reader);
    if (n < 0 || n > (reader->end - reader->next) / size) {
        reader->short_of_words = true;
        return 0;
    }
    return n;
}

static const int64_t *words(Reader *reader, int64_t n)
{
    const int64_t *start = reader->next;
    if (n < 0 || n > reader->end - reader->next) {
        reader->short_of_words = true;
        return start;
    }
    reader->next += n;
    return start;
}

static int read_arguments(Reader *reader, int64_t *size, Argument **list)
{
    *size = count(reader, 6);
    *list = PyMem_Calloc(*size ? *size : 1, sizeof **list);
    if (!*list)
        return -1;
    for (int64_t i = 0; i < *size; i++) {
        Argument *argument = &(*list)[i];
        argument->buffer = word(reader);
        argument->type = (int)word(reader);
        argument->ndim = (int)word(reader);
        argument->first_register = word(reader);
        argument->policy = word(reader);
        argument->position = word(reader);
        argument->shape = words(reader, argument->ndim);
        for (int d = 0; !reader->short_of_words && d < argument->ndim; d++)
            argument->fixed |= argument->shape[d] >= 0;
    }
    return 0;
}

static int read_outputs(Reader *reader, Plan *plan)
{
    plan->output_count = count(reader, 5);
    plan->outputs = PyMem_Calloc(plan->output_count ? plan->output_count : 1, sizeof(Output));
    if (!plan->outputs)
        return -1;
    for (int64_t i = 0; i < plan->output_count; i++) {
        Output *output = &plan->outputs[i];
        output->buffer = word(reader);
        output->type = (int)word(reader);
        output->itemsize = (int)word(reader);
        output->borrow = word(reader) != 0;
        output->ndim = (int)word(reader);
        output->shape = words(reader, output->ndim);
    }
    return 0;
}

static int read_updates(Reader *reader, Plan *plan)
{
    plan->update_count = count(reader, 6);
    plan->updates = PyMem_Calloc(plan->update_count ? plan->update_count : 1, sizeof(Update));
    if (!plan->updates)
        return -1;
    for (int64_t i = 0; i < plan->update_count; i++) {
        Update *update = &plan->updates[i];
        update->position = word(reader);
        update->buffer = word(reader);
        update->type = (int)word(reader);
        update->itemsize = (int)word(reader);
        update->in_place = word(reader) != 0;
        plan->writes_in_place |= update->in_place;
        update->ndim = (int)word(reader);
        update->shape = words(reader, update->ndim);
    }
    return 0;
}

static int read_sections(Reader *reader, Plan *plan)
{
    int64_t format = word(reader);
    if (format != FORMAT) {
        PyErr_Format(PyExc_ValueError, "program words of format %lld, expected %d",
                     (long long)format, FORMAT);
        return -1;
    }
    plan->registers = word(reader);
    plan->slots = word(reader);
    plan->outputs_held = word(reader);
    plan->hosted = word(reader);
    plan->kept = word(reader);
    plan->table_words = word(reader);
    plan->instructions = word(reader);
    plan->initial_count = count(reader, 2);
    plan->initial = words(reader, 2 * plan->initial_count);
    plan->reset_count = count(reader, 2);
    plan->reset = words(reader, 2 * plan->reset_count);
    plan->kernel_count = count(reader, 1);
    plan->kernels = plan->words + (reader->next - plan->words);
    words(reader, plan->kernel_count);
    plan->buffer_count = count(reader, 3);
    plan->buffers = PyMem_Calloc(plan->buffer_count ? plan->buffer_count : 1, sizeof(BufferPlan));
    if (!plan->buffers) {
        PyErr_NoMemory();
        return -1;
    }
    for (int64_t i = 0; i < plan->buffer_count; i++) {
        plan->buffers[i].kind = word(reader);
        plan->buffers[i].itemsize = word(reader);
        plan->buffers[i].place = word(reader);
    }
    if (read_arguments(reader, &plan->input_count, &plan->inputs) < 0 ||
        read_arguments(reader, &plan->shared_count, &plan->shared) < 0 ||
        read_arguments(reader, &plan->constant_count, &plan->constants) < 0 ||
        read_outputs(reader, plan) < 0 || read_updates(reader, plan) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    plan->code = reader->next;
    if (reader->short_of_words || reader->next >= reader->end) {
        PyErr_SetString(PyExc_ValueError, "program words end too early");
        return -1;
    }
    return 0;
}

/* `object` is a one-dimensional, contiguous int64 array. */
int plan_read(Plan *plan, PyObject *object)
{
    if (!PyArray_CheckExact(object) || PyArray_TYPE((PyArrayObject *)object) != NPY_INT64 ||
        PyArray_NDIM((PyArrayObject *)object) != 1 ||
        !PyArray_ISCARRAY_RO((PyArrayObject *)object)) {
        PyErr_SetString(PyExc_TypeError, "words must be a contiguous vector of int64");
        return -1;
    }
    PyArrayObject *array = (PyArrayObject *)object;
    plan->word_count = PyArray_SIZE(array);
    plan->words = PyMem_Malloc(plan->word_count * sizeof(int64_t) + 1);
    if (!plan->words) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(plan->words, PyArray_DATA(array), plan->word_count * sizeof(int64_t));
    Reader reader = {plan->words, plan->words + plan->word_count, false};
    return read_sections(&reader, plan);
}

void plan_free(Plan *plan)
{
    PyMem_Free(plan->words);
    PyMem_Free(plan->buffers);
    PyMem_Free(plan->inputs);
    PyMem_Free(plan->shared);
    PyMem_Free(plan->constants);
    PyMem_Free(plan->outputs);
    PyMem_Free(plan->updates);
    memset(plan, 0, sizeof *plan);
}

/* What the encoder needs to know of the numbers that this side gives to things. */
PyObject *plan_codes(void)
{
    static const struct {
        const char *name;
        int code;
    } codes[] = {
#define OPERATION_CODE(name) {"op " #name, OP_##name},
        COMPUTE_OPERATIONS(OPERATION_CODE) OTHER_OPERATIONS(OPERATION_CODE)
#undef OPERATION_CODE
        {"format", FORMAT},
        {"kind argument", KIND_ARGUMENT},
        {"kind temporary", KIND_TEMPORARY},
        {"kind output", KIND_OUTPUT},
        {"kind hosted", KIND_HOSTED},
        {"kind call", KIND_CALL},
        {"kind kept", KIND_KEPT},
        {"kind view", KIND_VIEW},
        {"policy strict", POLICY_STRICT},
        {"policy safe", POLICY_SAFE},
        {"policy float", POLICY_FLOAT},
        {"policy downcast", POLICY_DOWNCAST},
        {"result none", RESULT_NONE},
        {"result value", RESULT_VALUE},
        {"result list", RESULT_LIST},
        {"result dict", RESULT_DICT},
    };
    PyObject *dict = PyDict_New();
    for (size_t i = 0; dict && i < sizeof codes / sizeof *codes; i++) {
        PyObject *code = PyLong_FromLong(codes[i].code);
        if (!code || PyDict_SetItemString(dict, codes[i].name, code) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(code);
    }
    return dict;
}

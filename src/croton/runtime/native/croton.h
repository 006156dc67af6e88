/* What the files of the runtime share.
 *
 * A call of a Callable goes through these files in order: callable.c takes the
 * arguments apart, arguments.c turns them into pointers and sizes in a Frame,
 * cell.c keeps other calls away from the shared variables, interpreter.c walks
 * the instructions (host.c where they lead back to Python, pool.c where they
 * are spread over threads, parts.c where many of them are, as a whole),
 * results.c hands out what was computed.  memory.c
 * is where all large memory comes from; plan.c reads the words that
 * croton/runtime/encode.py wrote (the layout is described there).
 */
#ifndef CROTON_NATIVE_H
#define CROTON_NATIVE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL croton_native_array_api
#ifndef CROTON_IMPORT_ARRAY
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>
#include <numpy/arrayscalars.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

_Static_assert(sizeof(void *) == 8, "pointers are kept in 64-bit words");

#if defined(__GNUC__)
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#else
#define LIKELY(x) (x)
#define UNLIKELY(x) (x)
#endif

enum {
    CACHE_LINE = 64,
    /* Results up to this size live in memory of NumPy's own small-block cache. */
    SMALL_BYTES = 1024,
    /* What one Python or NumPy scalar needs in a frame. */
    SCALAR_BYTES = 16,
    /* The least scratch a kernel gets: its first 64 bytes belong to the convention. */
    SCRATCH_BYTES = 4096,
    /* Frames that a callable keeps for its next calls. */
    KEPT_FRAMES = 4,
};

typedef int64_t (*Kernel)(void **buffers, const int64_t *sizes, int64_t lo, int64_t hi,
                          void *scratch);

/* ---- memory.c ------------------------------------------------------------------- */

/* Memory, aligned to a cache line, that goes back to a cache when the last holder drops it. */
typedef struct Block {
    char *data;
    size_t capacity;
    void *origin; /* what the system gave: `data` lies in it */
    size_t mapped; /* bytes of the mapping; 0 for memory of the heap */
    atomic_int holders;
    int bin;
    uint64_t stamp;
    struct Block *newer, *older;
} Block;

Block *block_take(size_t bytes);
void block_hold(Block *block);
void block_drop(Block *block);
void block_expect(size_t bytes_of_one_call);
size_t blocks_release(void);
PyObject *blocks_statistics(void);
int memory_prepare(void);

/* The Python object that owns a block on behalf of an ndarray. */
extern PyTypeObject Buffer_Type;
PyObject *buffer_new(Block *block); /* takes over the caller's hold, also on failure */
PyObject *array_new(int type, int ndim, const npy_intp *shape, size_t bytes);
PyObject *array_in_block(int type, int ndim, const npy_intp *shape, Block *block, char *data);

PyArrayObject *laid_out(PyArrayObject *array, int type, int flags);

/* ---- pool.c --------------------------------------------------------------------- */

typedef struct {
    Kernel kernel;
    void **buffers;
    const int64_t *sizes;
    int64_t items;
    int64_t grain;
    size_t scratch_bytes;
    void *scratch; /* of the calling thread */
    bool together; /* neighbouring items take less time in one call of the kernel */
} Job;

enum { STATUS_NO_MEMORY = -1 };

/* The kernel's status; on failure the details of the first failing item are in `details`. */
int64_t pool_run(const Job *job, int64_t details[2]);
int pool_threads(void);
void pool_set_threads(int count);
PyObject *pool_statistics(void);
int pool_prepare(void);
uint64_t monotonic_ns(void);

/* ---- plan.c --------------------------------------------------------------------- */

typedef struct {
    int64_t buffer; /* -1: the program does not read it */
    int type;
    int ndim;
    int64_t first_register;
    int64_t policy;
    bool fixed; /* some entry of `shape` is known */
    const int64_t *shape; /* -1: any */
    int64_t position;
} Argument;

enum { POLICY_STRICT, POLICY_SAFE, POLICY_FLOAT, POLICY_DOWNCAST };

typedef struct {
    int64_t buffer;
    int type;
    int itemsize;
    bool borrow;
    int ndim;
    const int64_t *shape; /* registers */
} Output;

typedef struct {
    int64_t position;
    int64_t buffer;
    int type;
    int itemsize;
    bool in_place;
    int ndim;
    const int64_t *shape; /* registers */
} Update;

enum { KIND_ARGUMENT, KIND_TEMPORARY, KIND_OUTPUT, KIND_HOSTED, KIND_CALL, KIND_KEPT, KIND_VIEW };

typedef struct {
    int64_t kind;
    int64_t itemsize;
    int64_t place; /* argument: its place in Frame.held; else in slots, outputs, hosted, words,
                    * kept */
} BufferPlan;

typedef struct {
    int64_t *words; /* all of the program; the pointers below lead into it */
    int64_t word_count;
    int64_t registers, slots, outputs_held, hosted, kept, table_words, instructions;
    int64_t initial_count;
    const int64_t *initial; /* (register, value) pairs */
    int64_t reset_count;
    const int64_t *reset; /* those that the program itself overwrites */
    int64_t kernel_count;
    int64_t *kernels; /* their addresses; 0: not linked yet */
    int64_t input_count, shared_count, constant_count;
    Argument *inputs, *shared, *constants;
    int64_t buffer_count;
    BufferPlan *buffers;
    int64_t output_count, update_count;
    Output *outputs;
    Update *updates;
    bool writes_in_place;
    const int64_t *code;
} Plan;

/* The first word of an instruction is OP_... + (its number in the Program << 32). */
#define COMPUTE_OPERATIONS(X) \
    X(add) X(sub) X(mul) X(floordiv) X(mod) X(minimum) X(maximum) X(neg) X(abs) \
    X(eq) X(ne) X(lt) X(le) X(and) X(or) X(not) X(select) X(ceildiv)
#define OTHER_OPERATIONS(X) \
    X(temporary) X(output) X(keep) X(filled) X(bind) X(launch) X(launch_at) X(copy) X(item) \
    X(check) X(host) X(view) X(loop) X(next) X(split) X(join) X(ask) X(end)
#define OPERATION_ENUM(name) OP_##name,
enum { COMPUTE_OPERATIONS(OPERATION_ENUM) OTHER_OPERATIONS(OPERATION_ENUM) OPERATION_COUNT };
#undef OPERATION_ENUM

/* NULL as long as it is not linked: other threads may do that at any time. */
static inline Kernel plan_kernel(const Plan *plan, int64_t number)
{
    const _Atomic(int64_t) *address = (const _Atomic(int64_t) *)&plan->kernels[number];
    return (Kernel)(intptr_t)atomic_load_explicit(address, memory_order_acquire);
}

PyObject *plan_codes(void);
int plan_read(Plan *plan, PyObject *words);
void plan_free(Plan *plan);

/* ---- cell.c --------------------------------------------------------------------- */

/* The storage of a shared variable.  All of its fields change only under the GIL. */
typedef struct {
    PyObject_HEAD
    PyObject *weakrefs;
    PyArrayObject *array;
    int readers; /* running calls that read it */
    int writer; /* 1 while a running call updates it */
    bool exposed; /* somebody may change the array behind our back */
    uint64_t version; /* goes up with every new value; never 0 */
    unsigned epoch; /* of the process that set the two above */
} Cell;

struct Frame;
struct Callable;

extern PyTypeObject Cell_Type;
int cells_acquire(struct Frame *frame);
void cells_release(struct Frame *frame);
int cells_prepare(void);

/* ---- callable.c ----------------------------------------------------------------- */

typedef struct Callable {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *weakrefs;
    PyObject *owner;
    PyObject *name;
    PyObject *names; /* tuple of str: the inputs, then the shared arguments */
    PyObject *defaults; /* tuple, None where an input must be given */
    PyObject *keys; /* tuple of the dict's keys, or NULL */
    PyObject *adapt; /* makes the replacement where shared variables have other shapes */
    PyObject *replacement; /* runs the calls instead, if there is one */
    PyObject *link; /* finds kernels that have no address yet */
    PyObject *convert, *fail, *hosts, *host_types, *constants, *keepalive;
    Plan plan;
    int result;
    int64_t cell_count;
    Cell **cells;
    bool *cell_written;
    struct Kept *kept; /* what a call filled for later ones */
    pthread_mutex_t kept_lock;
    atomic_uint_fast64_t *profile; /* count, ns of each instruction, then of whole calls */
    bool profiling;
    int frame_count;
    struct Frame *frames[KEPT_FRAMES];
} Callable;

/* A buffer that stays filled as long as the shared variables that it was made of stay as they
 * were: `versions` are theirs.  Frames that use the block hold it. */
typedef struct Kept {
    Block *block;
    uint64_t *versions;
    int64_t count;
} Kept;

enum { RESULT_NONE, RESULT_VALUE, RESULT_LIST, RESULT_DICT };

extern PyTypeObject Callable_Type;

/* ---- frame.c: the state of one running call -------------------------------------- */

typedef struct Frame {
    Callable *callable;
    struct Frame *outer; /* the call of this thread that led here through Python */
    PyThreadState *released; /* not NULL while the call runs without the GIL */
    int64_t *registers;
    void **buffers;
    int64_t *bytes; /* of each buffer */
    int64_t *words; /* the kernels' tables of buffers and sizes; targets of calls */
    Block **slots, **outputs, **small;
    Block **keeping; /* buffers of kind KIND_KEPT */
    uint64_t *versions; /* of the shared arguments; 0: not to be relied on */
    PyObject **hosted; /* arrays that host functions gave */
    PyObject **held; /* arrays of the inputs, then of the shared variables */
    PyObject **pending; /* new values of shared variables */
    PyObject **values; /* a call's arguments when they are not simply positional */
    char *scalars;
    Block *scratch;
    unsigned epoch; /* when its cells were marked */
    struct Parts *parts; /* of a frame that runs some of them */
    size_t taken; /* bytes of large blocks that this call asked for */
} Frame;

Frame *frame_begin(Callable *callable);
void frame_end(Frame *frame);
void frame_free(Frame *frame);
int frame_output(Frame *frame, int64_t buffer, int64_t bytes);
int frame_slot(Frame *frame, int64_t buffer, int64_t bytes);
int frame_keep(Frame *frame, const int64_t *words, int64_t bytes, bool *filled);
void frame_filled(Frame *frame, const int64_t *words);
int frame_scratch(Frame *frame, int64_t bytes);

/* ---- arguments.c ---------------------------------------------------------------- */

int bind_inputs(Frame *frame, PyObject *const *values);
int bind_shared(Frame *frame);
int bind_array(Frame *frame, const Argument *argument, PyArrayObject *array, PyObject *name);

/* ---- interpreter.c -------------------------------------------------------------- */

/* Why a program stopped; told to Python when the GIL is held again. */
typedef enum {
    GOES_ON,
    RAISED, /* an exception is set */
    NO_MEMORY,
    BAD_COUNT, /* values[0]: a negative number of elements */
    TOO_LARGE, /* a size does not fit into 63 bits */
    BAD_INDEX, /* values[0]: the index, values[1]: the elements there are */
    BAD_COPY,
    BAD_VIEW,
    FAILED, /* values[0]: the error's number, values[1], [2]: its details */
} Stop;

typedef struct {
    Stop stop;
    int64_t values[3];
    bool has_details;
} Outcome;

/* 0, or -1 with an exception set.  Holds the GIL again when it returns. */
int interpret(Frame *frame);
/* Walk from `pc` to the end: that of the program, or of a part if the frame runs one. */
Stop walk(Frame *frame, const int64_t *pc, Outcome *outcome);
/* False if a signal handler raised; called by the thread of the call, without the GIL. */
bool handle_signals(Frame *frame);

/* ---- parts.c -------------------------------------------------------------------- */

/* Run all parts of the split at `pc`, spread over the threads. */
Stop parts_run(Frame *frame, const int64_t *pc, Outcome *outcome);
/* Whether a part goes on: nobody has stopped them all. */
bool parts_go_on(Frame *frame, bool ask);

/* ---- host.c --------------------------------------------------------------------- */

/* The thread's innermost call that is inside a host function. */
extern _Thread_local Frame *innermost_frame;

int host_call(Frame *frame, const int64_t *words);
int host_ask(Frame *frame, const int64_t *words);
/* The registers of a frame as a tuple. */
PyObject *host_registers(Frame *frame);
/* A kernel that had no address when instruction `number` came to it; NULL with an exception. */
Kernel host_link(Frame *frame, int64_t number, int64_t kernel);

/* ---- results.c ------------------------------------------------------------------ */

PyObject *results_make(Frame *frame);

#endif

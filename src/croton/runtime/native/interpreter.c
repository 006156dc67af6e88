/* Walks a program's instructions. */
#include "croton.h"

#include <string.h>

enum { STEPS_BETWEEN_SIGNALS = 16, NS_BETWEEN_SIGNALS = 50 * 1000 * 1000 };

static inline int64_t floor_divide(int64_t a, int64_t b)
{
    if (b == 0)
        return 0;
    if (b == -1)
        return (int64_t)(0 - (uint64_t)a);
    int64_t quotient = a / b;
    return quotient - (a % b != 0 && (a < 0) != (b < 0));
}

static inline int64_t floor_modulo(int64_t a, int64_t b)
{
    if (b == 0 || b == -1)
        return 0;
    int64_t remainder = a % b;
    return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder;
}

static inline int64_t ceil_divide(int64_t a, int64_t b)
{
    if (b == 0 || b == -1)
        return floor_divide(a, b);
    int64_t quotient = a / b;
    return quotient + (a % b != 0 && (a < 0) == (b < 0));
}

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t read_item(const void *data, int64_t index, int64_t width)
{
    switch (width) {
    case 1: return ((const uint8_t *)data)[index];
    case -1: return ((const int8_t *)data)[index];
    case 2: return ((const uint16_t *)data)[index];
    case -2: return ((const int16_t *)data)[index];
    case 4: return ((const uint32_t *)data)[index];
    case -4: return ((const int32_t *)data)[index];
    default: return ((const int64_t *)data)[index];
    }
}

/* Fill the tables of a launch or of a call's target: words are
 * [buffers, sizes, place of the tables, buffer numbers..., registers...]. */
static inline void **bind_tables(Frame *frame, const int64_t *words, const int64_t **sizes,
                                 const int64_t **next)
{
    const int64_t buffer_count = words[0], size_count = words[1];
    void **table = (void **)(frame->words + words[2]);
    int64_t *numbers = frame->words + words[2] + buffer_count;
    words += 3;
    for (int64_t i = 0; i < buffer_count; i++)
        table[i] = frame->buffers[words[i]];
    words += buffer_count;
    for (int64_t i = 0; i < size_count; i++)
        numbers[i] = frame->registers[words[i]];
    *sizes = numbers;
    *next = words + size_count;
    return table;
}

static Stop launch(Frame *frame, Kernel kernel, void **buffers, const int64_t *sizes,
                   int64_t items, int64_t grain, int64_t scratch, Outcome *outcome)
{
    if (items <= 0)
        return GOES_ON;
    const bool together = grain < 0;
    if (together)
        grain = grain > -INT64_MAX ? -grain : INT64_MAX;
    if (UNLIKELY(grain < 1))
        grain = 1;
    if (UNLIKELY(scratch < 0 || scratch > PTRDIFF_MAX - SCRATCH_BYTES)) {
        outcome->values[0] = scratch;
        return BAD_COUNT;
    }
    scratch += CACHE_LINE;
    if (UNLIKELY(frame_scratch(frame, scratch) < 0))
        return NO_MEMORY;
    int64_t status;
    if (items / 2 < grain || frame->parts) {
        status = kernel(buffers, sizes, 0, items, frame->scratch->data);
        if (UNLIKELY(status != 0))
            memcpy(&outcome->values[1], frame->scratch->data, 2 * sizeof(int64_t));
    }
    else {
        if (!frame->released)
            frame->released = PyEval_SaveThread();
        Job job = {kernel,          buffers,              sizes,   items, grain,
                   (size_t)scratch, frame->scratch->data, together};
        status = pool_run(&job, &outcome->values[1]);
    }
    if (LIKELY(status == 0))
        return GOES_ON;
    outcome->values[0] = status - 1;
    outcome->has_details = true;
    return FAILED;
}

static inline void take_gil(Frame *frame)
{
    if (frame->released) {
        PyEval_RestoreThread(frame->released);
        frame->released = NULL;
    }
}

/* Time that passed since `*since` belongs to `instruction`. */
static void account(Callable *callable, int64_t instruction, uint64_t *since)
{
    uint64_t now = monotonic_ns();
    if (instruction >= 0) {
        atomic_uint_fast64_t *entry = callable->profile + 2 * instruction;
        atomic_fetch_add_explicit(&entry[0], 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&entry[1], now - *since, memory_order_relaxed);
    }
    *since = now;
}

bool handle_signals(Frame *frame)
{
    take_gil(frame);
    if (PyErr_CheckSignals() < 0)
        return false;
    frame->released = PyEval_SaveThread();
    return true;
}

/* Now and then while a loop goes on, Python's signal handlers and its other threads have their
 * turn; false if a handler raised. */
static bool goes_on(Frame *frame, uint64_t *asked)
{
    uint64_t now = monotonic_ns();
    if (*asked == 0)
        *asked = now;
    bool late = now - *asked >= NS_BETWEEN_SIGNALS;
    if (late)
        *asked = now;
    if (frame->parts)
        return parts_go_on(frame, late);
    return !late || handle_signals(frame);
}

Stop walk(Frame *frame, const int64_t *pc, Outcome *outcome)
{
    Callable *callable = frame->callable;
    int64_t *const registers = frame->registers;
    const bool profiling = callable->profiling;
    int64_t running = -1;
    uint64_t since = 0, asked = 0;

#define TARGET registers[pc[1]]
#define A registers[pc[2]]
#define B registers[pc[3]]
#define C registers[pc[4]]
#define COMPUTE(name, value)                                                                 \
    case OP_##name:                                                                          \
        TARGET = (value);                                                                    \
        pc += 5;                                                                             \
        break
#define COMPUTE_CHECKED(name)                                                                \
    case OP_##name: {                                                                        \
        int64_t value;                                                                       \
        if (UNLIKELY(__builtin_##name##_overflow(A, B, &value)))                             \
            return TOO_LARGE;                                                                \
        TARGET = value;                                                                      \
        pc += 5;                                                                             \
        break;                                                                               \
    }

/* The kernel of that number, which is linked now if it was not and there are items for it. */
#define KERNEL(number, items)                                                                \
    Kernel kernel = plan_kernel(&callable->plan, number);                                    \
    if (UNLIKELY(!kernel) && (items) > 0) {                                                  \
        take_gil(frame);                                                                     \
        if (!(kernel = host_link(frame, pc[0] >> 32, number)))                               \
            return RAISED;                                                                   \
        if (UNLIKELY(profiling)) /* the step did not take that time */                       \
            since = monotonic_ns();                                                          \
    }                                                                                        \
    (void)0

    for (;;) {
        const int64_t operation = pc[0] & 0xffffffff;
        if (UNLIKELY(profiling)) {
            int64_t next = operation == OP_end ? -2 : pc[0] >> 32;
            if (next != running) {
                account(callable, running, &since);
                running = next;
            }
        }
        switch (operation) {
            COMPUTE_CHECKED(add)
            COMPUTE_CHECKED(sub)
            COMPUTE_CHECKED(mul)
            COMPUTE(floordiv, floor_divide(A, B));
            COMPUTE(mod, floor_modulo(A, B));
            COMPUTE(ceildiv, ceil_divide(A, B));
            COMPUTE(minimum, A < B ? A : B);
            COMPUTE(maximum, A > B ? A : B);
            COMPUTE(neg, (int64_t)(0 - (uint64_t)A));
            COMPUTE(abs, A < 0 ? (int64_t)(0 - (uint64_t)A) : A);
            COMPUTE(eq, A == B);
            COMPUTE(ne, A != B);
            COMPUTE(lt, A < B);
            COMPUTE(le, A <= B);
            COMPUTE(and, A != 0 && B != 0);
            COMPUTE(or, A != 0 || B != 0);
            COMPUTE(not, A == 0);
            COMPUTE(select, A ? B : C);

        case OP_temporary: /* buffer, count, itemsize */
        case OP_output: {
            int64_t count = registers[pc[2]], bytes;
            if (UNLIKELY(count < 0)) {
                outcome->values[0] = count;
                return BAD_COUNT;
            }
            if (UNLIKELY(__builtin_mul_overflow(count, pc[3], &bytes)))
                return NO_MEMORY;
            if (UNLIKELY((operation == OP_output ? frame_output : frame_slot)(frame, pc[1],
                                                                              bytes) < 0))
                return NO_MEMORY;
            pc += 4;
            break;
        }
        case OP_keep: { /* count, itemsize, words to skip if it is filled, those of frame_keep */
            int64_t count = registers[pc[1]], bytes;
            bool filled;
            if (UNLIKELY(count < 0)) {
                outcome->values[0] = count;
                return BAD_COUNT;
            }
            if (UNLIKELY(__builtin_mul_overflow(count, pc[2], &bytes) ||
                         frame_keep(frame, pc + 4, bytes, &filled) < 0))
                return NO_MEMORY;
            pc += filled ? pc[3] : 6 + pc[5];
            break;
        }
        case OP_filled: /* those of frame_keep */
            frame_filled(frame, pc + 1);
            pc += 3 + pc[2];
            break;
        case OP_bind: { /* kernel, items of the launch that it is for, target buffer, tables */
            KERNEL(pc[1], registers[pc[2]]);
            const int64_t *sizes, *next;
            void **table = bind_tables(frame, pc + 4, &sizes, &next);
            int64_t *triple = frame->buffers[pc[3]];
            triple[0] = (int64_t)(intptr_t)kernel;
            triple[1] = (int64_t)(intptr_t)table;
            triple[2] = (int64_t)(intptr_t)sizes;
            pc = next;
            break;
        }
        case OP_launch: { /* kernel, items, grain, scratch, tables */
            KERNEL(pc[1], registers[pc[2]]);
            const int64_t *sizes, *next;
            void **table = bind_tables(frame, pc + 5, &sizes, &next);
            Stop stop = launch(frame, kernel, table, sizes, registers[pc[2]], registers[pc[3]],
                               registers[pc[4]], outcome);
            if (UNLIKELY(stop != GOES_ON))
                return stop;
            pc = next;
            break;
        }
        case OP_launch_at: { /* register of the address (0: nothing runs), scratch, tables */
            Kernel kernel = (Kernel)(intptr_t)registers[pc[1]];
            const int64_t *sizes, *next;
            void **table = bind_tables(frame, pc + 3, &sizes, &next);
            if (kernel) {
                Stop stop = launch(frame, kernel, table, sizes, 1, 1, registers[pc[2]], outcome);
                if (UNLIKELY(stop != GOES_ON))
                    return stop;
            }
            pc = next;
            break;
        }
        case OP_copy: { /* target, source, count, itemsize */
            int64_t count = registers[pc[3]], bytes;
            if (UNLIKELY(__builtin_mul_overflow(count, pc[4], &bytes) || bytes < 0 ||
                         bytes > frame->bytes[pc[1]] || bytes > frame->bytes[pc[2]]))
                return BAD_COPY;
            memmove(frame->buffers[pc[1]], frame->buffers[pc[2]], (size_t)bytes);
            pc += 5;
            break;
        }
        case OP_item: { /* target, buffer, index, width */
            int64_t index = registers[pc[3]], width = pc[4] < 0 ? -pc[4] : pc[4];
            int64_t count = frame->bytes[pc[2]] / width;
            if (UNLIKELY(index < 0 || index >= count)) {
                outcome->values[0] = index;
                outcome->values[1] = count;
                return BAD_INDEX;
            }
            TARGET = read_item(frame->buffers[pc[2]], index, pc[4]);
            pc += 5;
            break;
        }
        case OP_check: /* condition, error */
            if (UNLIKELY(!registers[pc[1]])) {
                outcome->values[0] = pc[2];
                return FAILED;
            }
            pc += 3;
            break;
        case OP_host: { /* words in all, ... */
            take_gil(frame);
            if (host_call(frame, pc + 2) < 0)
                return RAISED;
            pc += pc[1];
            break;
        }
        case OP_view: { /* buffer, source, offset, count, itemsize */
            int64_t offset = registers[pc[3]], count = registers[pc[4]], start, bytes;
            if (UNLIKELY(offset < 0 || count < 0 || __builtin_mul_overflow(offset, pc[5], &start) ||
                         __builtin_mul_overflow(count, pc[5], &bytes) ||
                         start > frame->bytes[pc[2]] - bytes))
                return BAD_VIEW;
            frame->buffers[pc[1]] = (char *)frame->buffers[pc[2]] + start;
            frame->bytes[pc[1]] = bytes;
            pc += 6;
            break;
        }
        case OP_loop: /* index, count, words to behind its end */
            registers[pc[1]] = 0;
            pc += registers[pc[2]] > 0 ? 4 : pc[3];
            break;
        case OP_next: { /* index, count, stop, words of the body */
            int64_t done = ++registers[pc[1]];
            if (UNLIKELY((done & (STEPS_BETWEEN_SIGNALS - 1)) == 0) && !goes_on(frame, &asked))
                return RAISED;
            bool again = done < registers[pc[2]] && !(pc[3] >= 0 && registers[pc[3]]);
            pc += again ? -pc[4] : 5;
            break;
        }
        case OP_split: /* first, count, total, unit, whether to spread, words to behind its join */
            if (UNLIKELY(registers[pc[4]] < 1))
                registers[pc[4]] = 1;
            if (registers[pc[3]] > registers[pc[4]] && pc[5] && !frame->parts &&
                pool_threads() > 1) {
                Stop stop = parts_run(frame, pc, outcome);
                if (UNLIKELY(stop != GOES_ON))
                    return stop;
                if (UNLIKELY(profiling)) /* what it took belongs to the steps in it */
                    since = monotonic_ns();
                pc += pc[6];
                break;
            }
            registers[pc[1]] = 0;
            registers[pc[2]] = least(registers[pc[3]], registers[pc[4]]);
            pc += registers[pc[3]] > 0 ? 7 : pc[6];
            break;
        case OP_join: { /* first, count, total, unit, words of the body */
            if (frame->parts)
                return GOES_ON;
            int64_t first = registers[pc[1]] + registers[pc[2]];
            bool again = first < registers[pc[3]];
            if (again) {
                registers[pc[1]] = first;
                registers[pc[2]] = least(registers[pc[3]] - first, registers[pc[4]]);
            }
            pc += again ? -pc[5] : 6;
            break;
        }
        case OP_ask: { /* target, when, function, place, count, registers... */
            const int64_t *known = frame->words + pc[4];
            if (!registers[pc[2]]) {
                TARGET = 0;
            }
            else {
                bool same = known[1];
                for (int64_t i = 0; same && i < pc[5]; i++)
                    same = known[2 + i] == registers[pc[6 + i]];
                if (UNLIKELY(!same)) {
                    take_gil(frame);
                    if (host_ask(frame, pc + 3) < 0)
                        return RAISED;
                }
                TARGET = known[0];
            }
            pc += 6 + pc[5];
            break;
        }
        default: /* OP_end: the encoder writes nothing else */
            return GOES_ON;
        }
    }
#undef TARGET
#undef A
#undef B
#undef C
#undef COMPUTE
#undef COMPUTE_CHECKED
#undef KERNEL
}

/* Let Python make the exception of a failed check or kernel. */
static void raise_failure(Frame *frame, const Outcome *outcome)
{
    Callable *callable = frame->callable;
    PyObject *registers = host_registers(frame);
    PyObject *details = !outcome->has_details ? PyTuple_New(0)
                                              : Py_BuildValue("LL", (long long)outcome->values[1],
                                                              (long long)outcome->values[2]);
    PyObject *exception = NULL;
    if (registers && details)
        exception = PyObject_CallFunction(callable->fail, "LOO", (long long)outcome->values[0],
                                          registers, details);
    Py_XDECREF(registers);
    Py_XDECREF(details);
    if (!exception)
        return;
    if (PyExceptionInstance_Check(exception))
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    else
        PyErr_Format(PyExc_TypeError, "expected an exception, not %.200s",
                     Py_TYPE(exception)->tp_name);
    Py_DECREF(exception);
}

static void raise_stop(Frame *frame, const Outcome *outcome)
{
    PyObject *name = frame->callable->name;
    switch (outcome->stop) {
    case NO_MEMORY:
        PyErr_Format(PyExc_MemoryError, "%U: there is not enough memory for its results", name);
        break;
    case BAD_COUNT:
        PyErr_Format(PyExc_ValueError, "%U: an array cannot have %lld elements", name,
                     (long long)outcome->values[0]);
        break;
    case TOO_LARGE:
        PyErr_Format(PyExc_ValueError, "%U: a size is too large for 64 bits", name);
        break;
    case BAD_INDEX:
        PyErr_Format(PyExc_IndexError, "%U: index %lld is outside of %lld elements", name,
                     (long long)outcome->values[0], (long long)outcome->values[1]);
        break;
    case BAD_COPY:
        PyErr_Format(PyExc_ValueError, "%U: a copy reaches beyond its array", name);
        break;
    case BAD_VIEW:
        PyErr_Format(PyExc_ValueError, "%U: a view reaches beyond its array", name);
        break;
    case FAILED:
        raise_failure(frame, outcome);
        break;
    case RAISED:
    case GOES_ON:
        break;
    }
}

int interpret(Frame *frame)
{
    Outcome outcome = {GOES_ON, {0, 0, 0}, false};
    outcome.stop = walk(frame, frame->callable->plan.code, &outcome);
    take_gil(frame);
    if (LIKELY(outcome.stop == GOES_ON))
        return 0;
    raise_stop(frame, &outcome);
    return -1;
}

/* Parts: instructions that are done for some rows after others, by several threads at once.
 *
 * Each thread walks them in a frame of its own: a copy of the call's registers and of the
 * places of its buffers, with temporaries of its own.  So threads meet only at the end.
 */
#include "croton.h"

#include <string.h>

typedef struct Parts {
    Frame *frame; /* of the call */
    const int64_t *split; /* its words: see encode.py */
    pthread_t caller;
    atomic_bool raised; /* the caller's signal handler: all stop */
    atomic_size_t taken;
    pthread_mutex_t lock;
    int64_t failed_at; /* the lowest part that failed, and how */
    Outcome outcome;
    int64_t *registers; /* as they were there */
} Parts;

static size_t aligned(size_t bytes)
{
    return (bytes + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1);
}

/* Bytes for the arrays of a part's frame. */
static size_t frame_bytes(const Plan *plan)
{
    size_t pair = aligned((size_t)plan->buffer_count * sizeof(int64_t));
    return aligned((size_t)plan->registers * sizeof(int64_t)) + 2 * pair +
           aligned((size_t)plan->table_words * sizeof(int64_t)) +
           aligned((size_t)plan->slots * sizeof(Block *));
}

static void *copied(char **memory, const void *source, size_t bytes)
{
    void *copy = *memory;
    memcpy(copy, source, bytes);
    *memory += aligned(bytes);
    return copy;
}

/* A frame like the call's; its arrays lie in `memory`. */
static void copy_frame(Frame *frame, Parts *parts, char *memory)
{
    const Plan *plan = &parts->frame->callable->plan;
    *frame = *parts->frame;
    frame->parts = parts;
    frame->scratch = NULL;
    frame->taken = 0;
#define COPY(field, count)                                                                   \
    (frame->field = copied(&memory, frame->field, (size_t)(count) * sizeof *frame->field))
    COPY(registers, plan->registers);
    COPY(buffers, plan->buffer_count);
    COPY(bytes, plan->buffer_count);
    COPY(words, plan->table_words);
#undef COPY
    frame->slots = (Block **)memory;
    memset(frame->slots, 0, (size_t)plan->slots * sizeof *frame->slots);
    for (int64_t i = 0; i < plan->buffer_count; i++)
        if (plan->buffers[i].kind == KIND_CALL)
            frame->buffers[i] = frame->words + plan->buffers[i].place;
}

static void end_frame(Frame *frame)
{
    for (int64_t i = 0; i < frame->callable->plan.slots; i++)
        block_drop(frame->slots[i]);
    block_drop(frame->scratch);
    atomic_fetch_add_explicit(&frame->parts->taken, frame->taken, memory_order_relaxed);
}

static void record(Parts *parts, const Frame *frame, int64_t part, const Outcome *outcome)
{
    size_t bytes = (size_t)frame->callable->plan.registers * sizeof(int64_t);
    pthread_mutex_lock(&parts->lock);
    if (part < parts->failed_at) {
        parts->failed_at = part;
        parts->outcome = *outcome;
        if (!parts->registers)
            parts->registers = malloc(bytes);
        if (parts->registers)
            memcpy(parts->registers, frame->registers, bytes);
        else
            parts->outcome.stop = NO_MEMORY;
    }
    pthread_mutex_unlock(&parts->lock);
}

/* The parts [lo, hi), as a kernel of the pool. */
static int64_t run(void **buffers, const int64_t *sizes, int64_t lo, int64_t hi, void *scratch)
{
    (void)sizes;
    Parts *parts = buffers[0];
    const int64_t *split = parts->split;
    Frame frame;
    copy_frame(&frame, parts, (char *)scratch + CACHE_LINE);
    const int64_t total = frame.registers[split[3]], unit = frame.registers[split[4]];
    Outcome outcome = {GOES_ON, {0, 0, 0}, false};
    for (int64_t part = lo; part < hi && outcome.stop == GOES_ON; part++) {
        int64_t first = part * unit;
        frame.registers[split[1]] = first;
        frame.registers[split[2]] = total - first < unit ? total - first : unit;
        outcome.stop = walk(&frame, split + 7, &outcome);
        if (outcome.stop != GOES_ON)
            record(parts, &frame, part, &outcome);
    }
    end_frame(&frame);
    return outcome.stop != GOES_ON;
}

bool parts_go_on(Frame *frame, bool ask)
{
    Parts *parts = frame->parts;
    if (ask && pthread_equal(pthread_self(), parts->caller) && !handle_signals(parts->frame))
        atomic_store(&parts->raised, true);
    return !atomic_load_explicit(&parts->raised, memory_order_relaxed);
}

Stop parts_run(Frame *frame, const int64_t *split, Outcome *outcome)
{
    const Plan *plan = &frame->callable->plan;
    int64_t total = frame->registers[split[3]], unit = frame->registers[split[4]];
    size_t bytes = frame_bytes(plan) + CACHE_LINE;
    if (frame_scratch(frame, (int64_t)bytes) < 0)
        return NO_MEMORY;
    if (!frame->released)
        frame->released = PyEval_SaveThread();
    Parts parts = {.frame = frame, .split = split, .caller = pthread_self(), .failed_at = INT64_MAX};
    pthread_mutex_init(&parts.lock, NULL);
    void *buffers[] = {&parts};
    int64_t details[2];
    Job job = {run, buffers, NULL, (total - 1) / unit + 1, 1, bytes, frame->scratch->data};
    pool_run(&job, details);
    pthread_mutex_destroy(&parts.lock);
    frame->taken += atomic_load(&parts.taken);
    if (parts.registers)
        memcpy(frame->registers, parts.registers, (size_t)plan->registers * sizeof(int64_t));
    free(parts.registers);
    if (atomic_load(&parts.raised))
        return RAISED;
    Stop stop = parts.outcome.stop;
    if (stop != GOES_ON)
        *outcome = parts.outcome;
    return stop;
}

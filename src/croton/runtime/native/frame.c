/* Frames: what one running call of a Callable needs, kept for its next call. */
#include "croton.h"

#include <string.h>

enum {
    /* Slots from this size on go back to the cache after each call: other functions
     * want that much memory too. */
    SHARED_SLOT_BYTES = 256 * 1024,
};

static size_t aligned(size_t bytes)
{
    return (bytes + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1);
}

static int64_t held_count(const Plan *plan)
{
    return plan->input_count + plan->shared_count + plan->constant_count;
}

/* Constants and fixed addresses are filled in once. */
static int fill(Frame *frame)
{
    Callable *callable = frame->callable;
    const Plan *plan = &callable->plan;
    for (int64_t i = 0; i < plan->initial_count; i++)
        frame->registers[plan->initial[2 * i]] = plan->initial[2 * i + 1];
    for (int64_t i = 0; i < plan->buffer_count; i++)
        if (plan->buffers[i].kind == KIND_CALL)
            frame->buffers[i] = frame->words + plan->buffers[i].place;
    for (int64_t i = 0; i < plan->constant_count; i++) {
        const Argument *argument = &plan->constants[i];
        PyObject *array = PyTuple_GET_ITEM(callable->constants, argument->position);
        if (bind_array(frame, argument, (PyArrayObject *)array, NULL) < 0)
            return -1;
        frame->held[plan->input_count + plan->shared_count + i] = Py_NewRef(array);
    }
    frame->scratch = block_take(SCRATCH_BYTES);
    if (!frame->scratch) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

/* All the small arrays of a frame lie in one piece of memory behind it. */
static Frame *frame_new(Callable *callable)
{
    const Plan *plan = &callable->plan;
    Frame layout = {0};
    size_t at = aligned(sizeof(Frame));
#define PLACE(field, n) \
    (layout.field = (void *)at, at += aligned((size_t)(n) * sizeof *layout.field))
#define RELOCATE(field) (frame->field = (void *)((char *)frame + (size_t)layout.field))
    PLACE(registers, plan->registers);
    PLACE(buffers, plan->buffer_count);
    PLACE(bytes, plan->buffer_count);
    PLACE(words, plan->table_words);
    PLACE(scalars, plan->input_count * SCALAR_BYTES);
    PLACE(held, held_count(plan));
    PLACE(values, plan->input_count);
    PLACE(slots, plan->slots);
    PLACE(outputs, plan->outputs_held);
    PLACE(small, plan->outputs_held);
    PLACE(keeping, plan->kept);
    PLACE(versions, plan->shared_count);
    PLACE(hosted, plan->hosted);
    PLACE(pending, plan->update_count);
    void *memory;
    if (posix_memalign(&memory, CACHE_LINE, at)) {
        PyErr_NoMemory();
        return NULL;
    }
    memset(memory, 0, at);
    Frame *frame = memory;
    RELOCATE(registers);
    RELOCATE(buffers);
    RELOCATE(bytes);
    RELOCATE(words);
    RELOCATE(scalars);
    RELOCATE(held);
    RELOCATE(values);
    RELOCATE(slots);
    RELOCATE(outputs);
    RELOCATE(small);
    RELOCATE(keeping);
    RELOCATE(versions);
    RELOCATE(hosted);
    RELOCATE(pending);
#undef PLACE
#undef RELOCATE
    frame->callable = callable;
    if (fill(frame) < 0) {
        frame_free(frame);
        return NULL;
    }
    return frame;
}

/* A frame for one call; the callable stays alive until frame_end. */
Frame *frame_begin(Callable *callable)
{
    Frame *frame;
    if (LIKELY(callable->frame_count > 0))
        frame = callable->frames[--callable->frame_count];
    else if (!(frame = frame_new(callable)))
        return NULL;
    Py_INCREF(callable);
    const Plan *plan = &callable->plan;
    for (int64_t i = 0; i < plan->reset_count; i++)
        frame->registers[plan->reset[2 * i]] = plan->reset[2 * i + 1];
    return frame;
}

/* Let go of everything that belongs to the call that ends. */
static void frame_clear(Frame *frame)
{
    const Plan *plan = &frame->callable->plan;
    block_expect(frame->taken); /* before any of it goes back */
    frame->taken = 0;
    for (int64_t i = 0; i < plan->input_count + plan->shared_count; i++)
        Py_CLEAR(frame->held[i]);
    for (int64_t i = 0; i < plan->outputs_held; i++) {
        if (frame->outputs[i]) {
            block_drop(frame->outputs[i]);
            frame->outputs[i] = NULL;
        }
    }
    for (int64_t i = 0; i < plan->slots; i++) {
        Block *slot = frame->slots[i];
        /* A host function may have kept an array on it: then it is theirs. */
        if (slot && (slot->capacity >= SHARED_SLOT_BYTES ||
                     atomic_load_explicit(&slot->holders, memory_order_relaxed) > 1)) {
            block_drop(slot);
            frame->slots[i] = NULL;
        }
    }
    for (int64_t i = 0; i < plan->kept; i++) {
        block_drop(frame->keeping[i]);
        frame->keeping[i] = NULL;
    }
    for (int64_t i = 0; i < plan->hosted; i++)
        Py_CLEAR(frame->hosted[i]);
    for (int64_t i = 0; i < plan->update_count; i++)
        Py_CLEAR(frame->pending[i]);
}

void frame_end(Frame *frame)
{
    Callable *callable = frame->callable;
    frame_clear(frame);
    if (LIKELY(callable->frame_count < KEPT_FRAMES))
        callable->frames[callable->frame_count++] = frame;
    else
        frame_free(frame);
    Py_DECREF(callable);
}

void frame_free(Frame *frame)
{
    const Plan *plan = &frame->callable->plan;
    frame_clear(frame);
    for (int64_t i = 0; i < plan->constant_count; i++)
        Py_CLEAR(frame->held[plan->input_count + plan->shared_count + i]);
    for (int64_t i = 0; i < plan->slots; i++)
        block_drop(frame->slots[i]);
    for (int64_t i = 0; i < plan->outputs_held; i++)
        block_drop(frame->small[i]);
    block_drop(frame->scratch);
    free(frame);
}

/* ---- memory of the running call: these work without the GIL ----------------------- */

/* Room for an output of `bytes`: small ones stay with the frame and are copied at the end. */
int frame_output(Frame *frame, int64_t buffer, int64_t bytes)
{
    int64_t place = frame->callable->plan.buffers[buffer].place;
    if (UNLIKELY(frame->outputs[place] != NULL)) {
        block_drop(frame->outputs[place]);
        frame->outputs[place] = NULL;
    }
    Block *block = frame->small[place];
    if (bytes > SMALL_BYTES) {
        block = frame->outputs[place] = block_take((size_t)bytes);
        frame->taken += (size_t)bytes;
    }
    else if (UNLIKELY(!block)) {
        block = frame->small[place] = block_take(SMALL_BYTES);
    }
    if (UNLIKELY(!block))
        return -1;
    frame->buffers[buffer] = block->data;
    frame->bytes[buffer] = bytes;
    return 0;
}

/* Room for a temporary; what was in its slot before is dead. */
int frame_slot(Frame *frame, int64_t buffer, int64_t bytes)
{
    Block **slot = &frame->slots[frame->callable->plan.buffers[buffer].place];
    if (UNLIKELY(!*slot || (*slot)->capacity < (size_t)bytes)) {
        block_drop(*slot);
        *slot = block_take(bytes ? (size_t)bytes : 1);
        frame->taken += (size_t)bytes;
        if (!*slot)
            return -1;
    }
    frame->buffers[buffer] = (*slot)->data;
    frame->bytes[buffer] = bytes;
    return 0;
}

/* Room for what is kept for later calls, or what a former call has filled and still is right.
 * The words are: buffer, number of shared arguments, these. */
int frame_keep(Frame *frame, const int64_t *words, int64_t bytes, bool *filled)
{
    Callable *callable = frame->callable;
    int64_t place = callable->plan.buffers[words[0]].place, count = words[1];
    Kept *kept = &callable->kept[place];
    Block *block = NULL;
    block_drop(frame->keeping[place]);
    pthread_mutex_lock(&callable->kept_lock);
    bool right = kept->block && kept->block->capacity >= (size_t)bytes;
    for (int64_t i = 0; right && i < count; i++) {
        uint64_t version = frame->versions[words[2 + i]];
        right = version != 0 && version == kept->versions[i];
    }
    if (right && bytes) {
        block = kept->block;
        block_hold(block);
    }
    pthread_mutex_unlock(&callable->kept_lock);
    *filled = bytes == 0 || block;
    if (!*filled)
        block = block_take((size_t)bytes);
    frame->keeping[place] = block;
    frame->buffers[words[0]] = block ? block->data : NULL;
    frame->bytes[words[0]] = bytes;
    return *filled || block ? 0 : -1;
}

/* Let later calls have what this one filled, unless it will not stay right. */
void frame_filled(Frame *frame, const int64_t *words)
{
    Callable *callable = frame->callable;
    int64_t place = callable->plan.buffers[words[0]].place, count = words[1];
    Kept *kept = &callable->kept[place];
    for (int64_t i = 0; i < count; i++)
        if (frame->versions[words[2 + i]] == 0)
            return;
    Block *old = frame->keeping[place];
    block_hold(old);
    pthread_mutex_lock(&callable->kept_lock);
    if (count > kept->count) {
        uint64_t *versions = realloc(kept->versions, (size_t)count * sizeof *versions);
        if (versions) {
            kept->versions = versions;
            kept->count = count;
        }
    }
    if (count <= kept->count) {
        Block *now = old;
        old = kept->block;
        kept->block = now;
        for (int64_t i = 0; i < count; i++)
            kept->versions[i] = frame->versions[words[2 + i]];
    }
    pthread_mutex_unlock(&callable->kept_lock);
    block_drop(old);
}

int frame_scratch(Frame *frame, int64_t bytes)
{
    if (LIKELY(frame->scratch && frame->scratch->capacity >= (size_t)bytes))
        return 0;
    block_drop(frame->scratch);
    frame->scratch = block_take((size_t)bytes);
    return frame->scratch ? 0 : -1;
}

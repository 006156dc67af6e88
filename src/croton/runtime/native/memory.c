/* Blocks: memory that is recycled.
 *
 * The first touch of fresh pages costs more than most kernels, so memory that
 * nobody holds any more is kept for the next who asks for about as much.  One
 * cache serves the whole process: the results of one function become the
 * temporaries of the next.  It holds at most what one call has been seen to
 * need twice over (and never more than half of the machine's memory).
 */
#include "croton.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    BINS = 64 * 4,
    NEIGHBOURS = 3, /* bins of larger blocks that may serve a request: up to 1.75 times */
    COLOURS = 8,
    COLOUR_BYTES = 9 * CACHE_LINE,
};

#define MAPPED_FROM ((size_t)1 << 20)
#define HUGE_PAGE ((size_t)2 << 20)
#define LEAST_LIMIT ((size_t)64 << 20)

static struct {
    pthread_mutex_t lock;
    Block *newest[BINS], *oldest[BINS];
    size_t cached, limit, ceiling;
    uint64_t stamp;
    uint64_t fresh, recycled;
    atomic_uint colour;
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER, .limit = LEAST_LIMIT};

/* Four sizes to each doubling; `size` becomes the size of the bin's blocks. */
static int bin_of(size_t *size)
{
    size_t bytes = *size < 256 ? 256 : *size;
    int exponent = 63 - __builtin_clzll(bytes);
    size_t quarter = (size_t)1 << (exponent - 2);
    size_t steps = (bytes + quarter - 1) / quarter; /* 4 to 8 */
    *size = steps * quarter;
    if (steps == 8) {
        exponent++;
        steps = 4;
    }
    return exponent * 4 + (int)(steps - 4);
}

static void unlink_block(Block *block)
{
    if (block->newer)
        block->newer->older = block->older;
    else
        cache.newest[block->bin] = block->older;
    if (block->older)
        block->older->newer = block->newer;
    else
        cache.oldest[block->bin] = block->newer;
    cache.cached -= block->capacity;
}

static void destroy(Block *block)
{
    if (block->mapped)
        munmap(block->origin, block->mapped);
    else
        free(block->origin);
    free(block);
}

static int map(Block *block, size_t size)
{
    /* Huge pages save walks through page tables, which virtual machines take long for; the last
     * one is not asked for unless most of it is used. */
    size_t huge = (size + HUGE_PAGE * 3 / 8) / HUGE_PAGE * HUGE_PAGE;
    size_t alignment = huge ? HUGE_PAGE : (size_t)sysconf(_SC_PAGESIZE);
    /* Arrays that all start at the same place of a page fight for the same cache sets. */
    size_t colour = atomic_fetch_add(&cache.colour, 1) % COLOURS * (size_t)COLOUR_BYTES;
    size_t wanted = size + COLOURS * COLOUR_BYTES;
    wanted = (wanted + 4095) & ~(size_t)4095;
    if (wanted < huge)
        wanted = huge;
    size_t mapped = wanted + alignment;
    char *origin = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (origin == MAP_FAILED)
        return -1;
    char *start = (char *)(((uintptr_t)origin + alignment - 1) & ~(uintptr_t)(alignment - 1));
#ifdef MADV_HUGEPAGE
    if (huge)
        madvise(start, huge, MADV_HUGEPAGE);
#endif
    block->origin = origin;
    block->mapped = mapped;
    block->data = start + colour;
    return 0;
}

static Block *create(size_t size, int bin)
{
    Block *block = calloc(1, sizeof *block);
    if (!block)
        return NULL;
    if (size >= MAPPED_FROM) {
        if (map(block, size) < 0) {
            free(block);
            return NULL;
        }
    }
    else {
        if (posix_memalign(&block->origin, CACHE_LINE, size)) {
            free(block);
            return NULL;
        }
        block->data = block->origin;
    }
    block->capacity = size;
    block->bin = bin;
    return block;
}

/* At least `bytes` of memory with one holder, or NULL. */
Block *block_take(size_t bytes)
{
    if (bytes > (size_t)PTRDIFF_MAX / 2)
        return NULL;
    int bin = bin_of(&bytes);
    Block *block = NULL;
    pthread_mutex_lock(&cache.lock);
    for (int i = bin; i <= bin + NEIGHBOURS && i < BINS; i++) {
        if (cache.newest[i]) {
            block = cache.newest[i];
            unlink_block(block);
            cache.recycled++;
            break;
        }
    }
    cache.fresh += block == NULL;
    pthread_mutex_unlock(&cache.lock);
    if (!block)
        block = create(bytes, bin);
    if (!block && blocks_release())
        block = create(bytes, bin);
    if (block)
        atomic_store_explicit(&block->holders, 1, memory_order_relaxed);
    return block;
}

void block_hold(Block *block)
{
    atomic_fetch_add_explicit(&block->holders, 1, memory_order_relaxed);
}

/* Make room for `bytes` by taking the longest unused blocks out; they come back as a list. */
static Block *evict(size_t bytes)
{
    Block *evicted = NULL;
    while (cache.cached && cache.cached + bytes > cache.limit) {
        Block *oldest = NULL;
        for (int i = 0; i < BINS; i++) {
            Block *candidate = cache.oldest[i];
            if (candidate && (!oldest || candidate->stamp < oldest->stamp))
                oldest = candidate;
        }
        unlink_block(oldest);
        oldest->older = evicted;
        evicted = oldest;
    }
    return evicted;
}

static void destroy_list(Block *block)
{
    while (block) {
        Block *next = block->older;
        destroy(block);
        block = next;
    }
}

/* Give up a hold; NULL is allowed. */
void block_drop(Block *block)
{
    if (!block || atomic_fetch_sub_explicit(&block->holders, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_lock(&cache.lock);
    Block *evicted = NULL;
    if (block->capacity > cache.limit) {
        block->older = NULL;
        evicted = block;
    }
    else {
        if (cache.cached + block->capacity > cache.limit)
            evicted = evict(block->capacity);
        block->stamp = cache.stamp++;
        block->newer = NULL;
        block->older = cache.newest[block->bin];
        if (block->older)
            block->older->newer = block;
        else
            cache.oldest[block->bin] = block;
        cache.newest[block->bin] = block;
        cache.cached += block->capacity;
    }
    pthread_mutex_unlock(&cache.lock);
    destroy_list(evicted);
}

/* A call was seen to take that much: from now on keep enough for two of its kind. */
void block_expect(size_t bytes)
{
    if (LIKELY(bytes <= LEAST_LIMIT / 2))
        return;
    pthread_mutex_lock(&cache.lock);
    size_t wanted = bytes > cache.ceiling / 2 ? cache.ceiling : bytes * 2;
    if (wanted > cache.limit)
        cache.limit = wanted;
    pthread_mutex_unlock(&cache.lock);
}

/* Give all cached memory back to the system: how many bytes it was. */
size_t blocks_release(void)
{
    pthread_mutex_lock(&cache.lock);
    size_t limit = cache.limit, released = cache.cached;
    cache.limit = 0;
    Block *evicted = evict(0);
    cache.limit = limit;
    pthread_mutex_unlock(&cache.lock);
    destroy_list(evicted);
    return released;
}

PyObject *blocks_statistics(void)
{
    pthread_mutex_lock(&cache.lock);
    unsigned long long cached = cache.cached, limit = cache.limit;
    unsigned long long fresh = cache.fresh, recycled = cache.recycled;
    pthread_mutex_unlock(&cache.lock);
    return Py_BuildValue("{s:K,s:K,s:K,s:K}", "cached_bytes", cached, "limit_bytes", limit,
                         "fresh", fresh, "recycled", recycled);
}

static void lock_cache(void) { pthread_mutex_lock(&cache.lock); }
static void unlock_cache(void) { pthread_mutex_unlock(&cache.lock); }

int memory_prepare(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    cache.ceiling = pages > 0 && page > 0 ? (size_t)pages / 2 * (size_t)page : LEAST_LIMIT;
    return pthread_atfork(lock_cache, unlock_cache, unlock_cache);
}

/* ---- Buffer --------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    Block *block;
} Buffer;

static void buffer_dealloc(PyObject *self)
{
    block_drop(((Buffer *)self)->block);
    PyObject_Free(self);
}

PyTypeObject Buffer_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "croton.runtime._native.Buffer",
    .tp_doc = "Memory that goes back to the runtime when the last array on it is gone.",
    .tp_basicsize = sizeof(Buffer),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = buffer_dealloc,
};

PyObject *buffer_new(Block *block)
{
    Buffer *self = PyObject_New(Buffer, &Buffer_Type);
    if (!self) {
        block_drop(block);
        return NULL;
    }
    self->block = block;
    return (PyObject *)self;
}

/* A C-contiguous array at `data` in the block, whose hold it takes over, also on failure. */
PyObject *array_in_block(int type, int ndim, const npy_intp *shape, Block *block, char *data)
{
    PyObject *base = buffer_new(block);
    if (!base)
        return NULL;
    PyObject *array = PyArray_NewFromDescr(&PyArray_Type, PyArray_DescrFromType(type), ndim, shape,
                                           NULL, data, NPY_ARRAY_CARRAY, NULL);
    if (!array) {
        Py_DECREF(base);
        return NULL;
    }
    if (PyArray_SetBaseObject((PyArrayObject *)array, base) < 0) {
        Py_DECREF(array);
        return NULL;
    }
    return array;
}

/* A C-contiguous array with uninitialised content. */
PyObject *array_new(int type, int ndim, const npy_intp *shape, size_t bytes)
{
    if (bytes <= SMALL_BYTES)
        return PyArray_NewFromDescr(&PyArray_Type, PyArray_DescrFromType(type), ndim, shape, NULL,
                                    NULL, 0, NULL);
    Block *block = block_take(bytes);
    if (!block)
        return PyErr_NoMemory();
    return array_in_block(type, ndim, shape, block, block->data);
}

/* A new reference to `array`, or to a copy, as a plain ndarray of the type number `type` (which
 * must be equivalent to its own) in native byte order and with the layout that `flags` ask for. */
PyArrayObject *laid_out(PyArrayObject *array, int type, int flags)
{
    PyObject *result =
        PyArray_FromArray(array, PyArray_DescrFromType(type),
                          flags | NPY_ARRAY_NOTSWAPPED | NPY_ARRAY_ENSUREARRAY);
    if (result && PyArray_TYPE((PyArrayObject *)result) != type) /* long and long long */
        Py_SETREF(result, PyArray_View((PyArrayObject *)result, PyArray_DescrFromType(type),
                                       NULL));
    return (PyArrayObject *)result;
}

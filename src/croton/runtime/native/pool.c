/* One pool of threads for the process.
 *
 * The calling thread is thread 0 of its job; the others wait, first spinning,
 * then asleep.  A job's items are cut into blocks of `grain` items, and each
 * thread starts on its own share of the blocks (so that the next job over the
 * same data finds them in its cache), then takes from the others' shares.
 *
 * A worker enters a job by counting itself into `state` while the job is open:
 * the caller opens it, does work until none is left, closes it, and waits for
 * those inside only.  A worker that wakes up late finds it closed, so a
 * sleeping core never delays anybody.  One word tells all of that, because
 * what a small job costs is the cache lines that go from core to core.
 */
#include "croton.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

enum {
    MOST_THREADS = 512,
    /* A thread takes an eighth of its share at a time, so that shares can be evened out,
     * but some blocks at least, if items take less time together. */
    STEPS_OF_A_SHARE = 8,
    TOGETHER = 4,
};

/* The parts of `state`, from the lowest bit: workers inside, open or not, shares, jobs so far. */
#define INSIDE(state) ((state) & 0xffff)
#define OPEN ((uint64_t)1 << 16)
#define SHARES(state) ((int)((state) >> 17 & 0x7fff))
#define JOBS(state) ((uint32_t)((state) >> 32))
#define STATE(jobs, shares) ((uint64_t)(uint32_t)(jobs) << 32 | (uint64_t)(shares) << 17)

#define SPIN_NS 60000 /* how long a worker stays awake after its last work */
#define PATIENCE_NS 5000 /* how long a caller spins for stragglers before it yields its core */

#if defined(__x86_64__) || defined(__i386__)
#define pause_briefly() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define pause_briefly() __asm__ __volatile__("yield")
#else
#define pause_briefly() sched_yield()
#endif

/* The blocks [next, end) that nobody has taken yet. */
typedef struct {
    _Alignas(CACHE_LINE) atomic_int_fast64_t next;
    int64_t end;
} Share;

typedef struct {
    _Alignas(CACHE_LINE) atomic_uint asleep; /* 1 until somebody wakes it */
    pthread_t handle;
} Worker;

static struct {
    _Alignas(CACHE_LINE) atomic_uint_fast64_t state;

    /* The job; written while nobody is inside. */
    _Alignas(CACHE_LINE) Job job;
    _Alignas(CACHE_LINE) int64_t blocks;
    int64_t step;
    int shares;
    atomic_int_fast64_t failed_at; /* first item of the lowest failing step */
    int64_t status;
    int64_t details[2];
    Share share[MOST_THREADS];

    _Alignas(CACHE_LINE) atomic_flag busy;
    pthread_mutex_t failure_lock;
    Worker worker[MOST_THREADS]; /* of thread 1, 2, ... */
    int workers; /* as running */
    atomic_int threads; /* as asked for */
    atomic_bool stopping;
    bool closed; /* the interpreter is going down */
    atomic_uint_fast64_t spread, alone, contended, wakes, sleeps;
} pool = {.busy = ATOMIC_FLAG_INIT, .failure_lock = PTHREAD_MUTEX_INITIALIZER};

uint64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- waiting -------------------------------------------------------------------- */

#ifdef __linux__

static void sleep_while(atomic_uint *word, unsigned value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void wake(atomic_uint *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void waiting_reset(void) {}

#else

static pthread_mutex_t sleep_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t sleep_condition = PTHREAD_COND_INITIALIZER;

static void sleep_while(atomic_uint *word, unsigned value)
{
    pthread_mutex_lock(&sleep_lock);
    while (atomic_load(word) == value)
        pthread_cond_wait(&sleep_condition, &sleep_lock);
    pthread_mutex_unlock(&sleep_lock);
}

static void wake(atomic_uint *word)
{
    (void)word;
    pthread_mutex_lock(&sleep_lock);
    pthread_cond_broadcast(&sleep_condition);
    pthread_mutex_unlock(&sleep_lock);
}

static void waiting_reset(void)
{
    pthread_mutex_init(&sleep_lock, NULL);
    pthread_cond_init(&sleep_condition, NULL);
}

#endif

/* Wait until there was another job than `seen`: awake until `deadline`, then asleep. */
static uint64_t await_job(Worker *self, uint32_t seen, uint64_t deadline)
{
    uint64_t state;
    do {
        for (int i = 0; i < 64; i++) {
            state = atomic_load_explicit(&pool.state, memory_order_acquire);
            if (JOBS(state) != seen)
                return state;
            pause_briefly();
        }
    } while (monotonic_ns() < deadline);
    atomic_store(&self->asleep, 1);
    while (JOBS(state = atomic_load(&pool.state)) == seen && atomic_load(&self->asleep)) {
        atomic_fetch_add_explicit(&pool.sleeps, 1, memory_order_relaxed);
        sleep_while(&self->asleep, 1);
    }
    atomic_store(&self->asleep, 0);
    return state;
}

/* Tell of a job of that many shares, and wake the workers that they are for. */
static void announce(int shares, uint64_t open)
{
    uint32_t jobs = JOBS(atomic_load_explicit(&pool.state, memory_order_relaxed)) + 1;
    atomic_exchange(&pool.state, STATE(jobs, shares) | open);
    for (int i = 0; i < shares - 1; i++) {
        atomic_uint *asleep = &pool.worker[i].asleep;
        if (atomic_load(asleep) && atomic_exchange(asleep, 0)) {
            atomic_fetch_add_explicit(&pool.wakes, 1, memory_order_relaxed);
            wake(asleep);
        }
    }
}

/* Count oneself in; false if there is no job that is open and has a share for the thread. */
static bool enter_job(int thread, uint64_t state)
{
    while ((state & OPEN) && thread < SHARES(state))
        if (atomic_compare_exchange_weak(&pool.state, &state, state + 1))
            return true;
    return false;
}

static void leave_job(void)
{
    atomic_fetch_sub_explicit(&pool.state, 1, memory_order_release);
}

/* Let nobody in any more, and wait for those inside. */
static void close_job(void)
{
    if (INSIDE(atomic_fetch_and(&pool.state, ~OPEN)) == 0)
        return;
    uint64_t deadline = 0;
    for (int i = 1; INSIDE(atomic_load_explicit(&pool.state, memory_order_acquire)); i++) {
        pause_briefly();
        if (i % 64)
            continue;
        uint64_t now = monotonic_ns();
        if (!deadline)
            deadline = now + PATIENCE_NS;
        else if (now > deadline)
            sched_yield(); /* the straggler may be waiting for this very core */
    }
}

/* ---- working -------------------------------------------------------------------- */

static void record_failure(int64_t first, int64_t status, const int64_t *details)
{
    pthread_mutex_lock(&pool.failure_lock);
    if (first < atomic_load_explicit(&pool.failed_at, memory_order_relaxed)) {
        atomic_store_explicit(&pool.failed_at, first, memory_order_relaxed);
        pool.status = status;
        memcpy(pool.details, details, sizeof pool.details);
    }
    pthread_mutex_unlock(&pool.failure_lock);
}

/* Take steps of a share until it is empty.  After a failure only the items before it matter:
 * then the failure that is reported does not depend on who was faster. */
static void work_on(Share *share, void *scratch)
{
    const Job *job = &pool.job;
    const int64_t step = pool.step, end = share->end;
    while (atomic_load_explicit(&share->next, memory_order_relaxed) < end) {
        int64_t block = atomic_fetch_add_explicit(&share->next, step, memory_order_relaxed);
        if (block >= end)
            return;
        int64_t stop = end - block > step ? block + step : end;
        int64_t first = block * job->grain;
        int64_t last = stop == pool.blocks ? job->items : stop * job->grain;
        if (first > atomic_load_explicit(&pool.failed_at, memory_order_relaxed))
            return;
        int64_t status = job->kernel(job->buffers, job->sizes, first, last, scratch);
        if (UNLIKELY(status != 0)) {
            record_failure(first, status, scratch);
            return;
        }
    }
}

static void work(int thread, void *scratch)
{
    int shares = pool.shares;
    for (int i = 0; i < shares; i++)
        work_on(&pool.share[thread + i < shares ? thread + i : thread + i - shares], scratch);
}

static void *worker(void *argument)
{
    int thread = (int)(intptr_t)argument;
    Worker *self = &pool.worker[thread - 1];
    Block *scratch = NULL;
    uint32_t seen = 0;
    uint64_t deadline = 0;
    while (!atomic_load(&pool.stopping)) {
        uint64_t state = await_job(self, seen, deadline);
        seen = JOBS(state);
        /* These lines come while the entry goes out. */
        __builtin_prefetch(&pool.job);
        __builtin_prefetch(&pool.blocks);
        __builtin_prefetch(&pool.share[thread], 1);
        if (!enter_job(thread, state))
            continue;
        size_t bytes = pool.job.scratch_bytes;
        if (!scratch || scratch->capacity < bytes) {
            block_drop(scratch);
            scratch = block_take(bytes);
        }
        if (scratch) /* else the others do it all */
            work(thread, scratch->data);
        leave_job();
        deadline = monotonic_ns() + SPIN_NS;
    }
    block_drop(scratch);
    return NULL;
}

/* ---- starting and stopping ------------------------------------------------------ */

static void start_workers(int wanted)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are Python's main thread's */
    while (pool.workers < wanted) {
        Worker *next = &pool.worker[pool.workers];
        atomic_store(&next->asleep, 0);
        if (pthread_create(&next->handle, NULL, worker, (void *)(intptr_t)(pool.workers + 1)))
            break;
#ifdef __linux__
        pthread_setname_np(next->handle, "croton");
#endif
        pool.workers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void stop_workers(void)
{
    atomic_store(&pool.stopping, true);
    announce(pool.workers + 1, 0);
    for (int i = 0; i < pool.workers; i++)
        pthread_join(pool.worker[i].handle, NULL);
    pool.workers = 0;
    atomic_store(&pool.stopping, false);
}

static void at_exit(void)
{
    pool.closed = true;
    /* A thread that is left behind may be in a job; then its workers end with the process. */
    if (!atomic_flag_test_and_set(&pool.busy) && pool.workers)
        stop_workers();
}

/* Only the thread that forked exists in the child, and the pool is as new. */
static void in_child(void)
{
    pool.workers = 0;
    atomic_store(&pool.state, 0);
    atomic_store(&pool.stopping, false);
    atomic_flag_clear(&pool.busy);
    pthread_mutex_init(&pool.failure_lock, NULL);
    waiting_reset();
}

int pool_prepare(void)
{
    atomic_store(&pool.threads, 1);
    if (pthread_atfork(NULL, NULL, in_child) || Py_AtExit(at_exit) < 0)
        return -1;
    return 0;
}

int pool_threads(void)
{
    return atomic_load(&pool.threads);
}

/* Call without the GIL: it waits for the running job. */
void pool_set_threads(int count)
{
    count = count < 1 ? 1 : count > MOST_THREADS ? MOST_THREADS : count;
    while (atomic_flag_test_and_set_explicit(&pool.busy, memory_order_acquire))
        sched_yield();
    if (pool.workers >= count)
        stop_workers();
    atomic_store(&pool.threads, count);
    atomic_flag_clear_explicit(&pool.busy, memory_order_release);
}

/* ---- running a job -------------------------------------------------------------- */

static int64_t run_alone(const Job *job, int64_t details[2])
{
    int64_t status = job->kernel(job->buffers, job->sizes, 0, job->items, job->scratch);
    if (UNLIKELY(status != 0))
        memcpy(details, job->scratch, 2 * sizeof *details);
    return status;
}

int64_t pool_run(const Job *job, int64_t details[2])
{
    int threads = atomic_load_explicit(&pool.threads, memory_order_relaxed);
    if (job->items / 2 < job->grain || threads < 2 || pool.closed) {
        atomic_store_explicit(
            &pool.alone, atomic_load_explicit(&pool.alone, memory_order_relaxed) + 1,
            memory_order_relaxed);
        return run_alone(job, details);
    }
    if (atomic_flag_test_and_set_explicit(&pool.busy, memory_order_acquire)) {
        atomic_fetch_add_explicit(&pool.contended, 1, memory_order_relaxed);
        return run_alone(job, details);
    }
    if (UNLIKELY(pool.workers < threads - 1))
        start_workers(threads - 1);

    __builtin_prefetch(&pool.state, 1);
    int64_t blocks = (job->items - 1) / job->grain + 1;
    int shares = blocks < pool.workers + 1 ? (int)blocks : pool.workers + 1;
    int64_t each = blocks / shares, more = blocks % shares;
    pool.job = *job;
    pool.blocks = blocks;
    pool.shares = shares;
    const int64_t least = job->together ? TOGETHER : 1;
    pool.step = each / STEPS_OF_A_SHARE > least ? each / STEPS_OF_A_SHARE : least;
    int64_t next = 0;
    for (int i = 0; i < shares; i++) {
        atomic_store_explicit(&pool.share[i].next, next, memory_order_relaxed);
        next += each + (i < more);
        pool.share[i].end = next;
    }
    atomic_store_explicit(&pool.failed_at, INT64_MAX, memory_order_relaxed);
    pool.status = 0;

    announce(shares, OPEN);
    work(0, job->scratch);
    close_job();

    int64_t status = pool.status;
    memcpy(details, pool.details, sizeof pool.details);
    atomic_fetch_add_explicit(&pool.spread, 1, memory_order_relaxed);
    atomic_flag_clear_explicit(&pool.busy, memory_order_release);
    return status;
}

PyObject *pool_statistics(void)
{
    return Py_BuildValue("{s:i,s:i,s:K,s:K,s:K,s:K,s:K}", "threads", pool_threads(), "workers",
                         pool.workers, "spread", (unsigned long long)atomic_load(&pool.spread),
                         "alone", (unsigned long long)atomic_load(&pool.alone), "contended",
                         (unsigned long long)atomic_load(&pool.contended), "wakes",
                         (unsigned long long)atomic_load(&pool.wakes), "sleeps",
                         (unsigned long long)atomic_load(&pool.sleeps));
}

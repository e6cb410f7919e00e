#include "encode_pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "image.h"

enum { THREADS_MAX = 8 };

struct job {
    struct job *next;
    struct picture *picture; /* NULL once encoded */
    struct encoded result;
};

/* First in, first out. */
struct queue {
    struct job *first, **end;
};

struct encode_pool {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct queue waiting, done;
    unsigned waiting_count, pending, thread_count;
    int stop, event_fd;
    pthread_t threads[THREADS_MAX];
};

static void put(struct queue *queue, struct job *job)
{
    job->next = NULL;
    *queue->end = job;
    queue->end = &job->next;
}

static struct job *get(struct queue *queue)
{
    struct job *job = queue->first;
    if (job) {
        queue->first = job->next;
        if (!queue->first)
            queue->end = &queue->first;
    }
    return job;
}

static void job_free(struct job *job)
{
    if (!job)
        return;
    picture_free(job->picture);
    locked_bytes_clear(&job->result.image);
    free(job);
}

/* Waits for a job. Returns NULL when the pool stops. */
static struct job *next_job(struct encode_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    while (!pool->stop && !pool->waiting.first)
        pthread_cond_wait(&pool->work, &pool->lock);
    struct job *job = pool->stop ? NULL : get(&pool->waiting);
    if (job)
        pool->waiting_count--;
    pthread_mutex_unlock(&pool->lock);
    return job;
}

static void finish_job(struct encode_pool *pool, struct job *job)
{
    const uint64_t one = 1;
    pthread_mutex_lock(&pool->lock);
    put(&pool->done, job);
    pthread_mutex_unlock(&pool->lock);
    /* Can fail only if the counter is full, and then the descriptor is readable. */
    if (write(pool->event_fd, &one, sizeof(one)) < 0)
        return;
}

static void *run(void *context)
{
    struct encode_pool *pool = context;
    for (struct job *job; (job = next_job(pool));) {
        job->result.error = image_encode(&job->result.image, job->picture);
        job->picture = picture_free(job->picture);
        finish_job(pool, job);
    }
    return NULL;
}

/* sched_getaffinity and not sysconf: a container's or taskset's limit counts. */
static unsigned processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 1;
    unsigned count = (unsigned)CPU_COUNT(&set);
    return count < THREADS_MAX ? count : THREADS_MAX;
}

static int start_threads(struct encode_pool *pool, unsigned threads)
{
    while (pool->thread_count < threads) {
        int error = pthread_create(&pool->threads[pool->thread_count], NULL, run, pool);
        if (error)
            return -error;
        pool->thread_count++;
    }
    return 0;
}

int encode_pool_new(struct encode_pool **out, unsigned threads)
{
    if (threads == 0)
        threads = processors();
    if (threads > THREADS_MAX)
        threads = THREADS_MAX;
    struct encode_pool *pool = calloc(1, sizeof(*pool));
    if (!pool)
        return -ENOMEM;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pool->waiting.end = &pool->waiting.first;
    pool->done.end = &pool->done.first;
    pool->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int result = pool->event_fd < 0 ? -errno : start_threads(pool, threads);
    if (result) {
        encode_pool_free(pool);
        return result;
    }
    *out = pool;
    return 0;
}

int encode_pool_submit(struct encode_pool *pool, uint32_t frame, uint32_t generation,
                       struct picture *picture)
{
    struct job *job = calloc(1, sizeof(*job));
    if (!job)
        return -ENOMEM;
    job->picture = picture;
    job->result.frame = frame;
    job->result.generation = generation;
    pthread_mutex_lock(&pool->lock);
    int full = pool->waiting_count >= pool->thread_count;
    if (!full) {
        put(&pool->waiting, job);
        pool->waiting_count++;
        pool->pending++;
        pthread_cond_signal(&pool->work);
    }
    pthread_mutex_unlock(&pool->lock);
    if (full)
        free(job);
    return full ? ENCODE_POOL_FULL : 0;
}

int encode_pool_take(struct encode_pool *pool, struct encoded *out)
{
    const uint64_t one = 1;
    uint64_t count;
    /* Emptied before the look, so that a result that comes in between is announced again. */
    if (read(pool->event_fd, &count, sizeof(count)) < 0)
        count = 0;
    pthread_mutex_lock(&pool->lock);
    struct job *job = get(&pool->done);
    int more = pool->done.first != NULL;
    if (job)
        pool->pending--;
    pthread_mutex_unlock(&pool->lock);
    if (more && write(pool->event_fd, &one, sizeof(one)) < 0)
        more = 0; /* only when the counter is full: then it polls readable anyway */
    if (!job)
        return ENCODE_POOL_EMPTY;
    *out = job->result;
    free(job);
    return 0;
}

unsigned encode_pool_pending(struct encode_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    unsigned pending = pool->pending;
    pthread_mutex_unlock(&pool->lock);
    return pending;
}

int encode_pool_fd(const struct encode_pool *pool)
{
    return pool->event_fd;
}

struct encode_pool *encode_pool_free(struct encode_pool *pool)
{
    if (!pool)
        return NULL;
    pthread_mutex_lock(&pool->lock);
    pool->stop = 1;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    for (struct job *job; (job = get(&pool->waiting));)
        job_free(job);
    for (struct job *job; (job = get(&pool->done));)
        job_free(job);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    if (pool->event_fd >= 0)
        close(pool->event_fd);
    free(pool);
    return NULL;
}

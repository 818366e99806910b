#define _GNU_SOURCE  // for the names of threads
#include "team.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

enum { line_bytes = 64, pauses_per_look = 32 };
// How long a run's thread waits for the others' last parts before it lets other processes go first.
static const unsigned patience_us = 50;

// A run of a model has hundreds of sections of a few microseconds, so that handing out one must take less than one. `parts`
// is all that idle threads look at: the parts of the section, and of them the next that nobody has taken. Who takes one by
// exchanging it can rely on `part` and `work`, since the section can't end before that part has.
struct team {
  _Alignas(line_bytes) _Atomic uint64_t parts;  // count << 32 | next
  void (*part)(void *work, size_t i);
  void *work;
  _Alignas(line_bytes) atomic_size_t finished;
  _Alignas(line_bytes) atomic_size_t sleepers;
  atomic_bool ends;
  atomic_flag in_use;
  atomic_size_t holders;
  unsigned spin_us;
  size_t helpers;
  pthread_t *threads;
  pthread_mutex_t mutex;
  pthread_cond_t work_or_end;
};

static void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");  // some 40 cycles, where `yield` takes one
#endif
}

static uint64_t now_us(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

static bool has_parts(struct team *team) {
  uint64_t parts = atomic_load(&team->parts);
  return (uint32_t)parts < parts >> 32;
}

// Does one part, if one is left.
static bool do_part(struct team *team) {
  uint64_t parts = atomic_load_explicit(&team->parts, memory_order_acquire);
  do {
    if ((uint32_t)parts >= parts >> 32) return false;
  } while (!atomic_compare_exchange_weak_explicit(&team->parts, &parts, parts + 1, memory_order_acq_rel, memory_order_acquire));
  team->part(team->work, (uint32_t)parts);
  atomic_fetch_add_explicit(&team->finished, 1, memory_order_release);
  return true;
}

static bool idle(struct team *team) { return !has_parts(team) && !atomic_load(&team->ends); }

// Until there is something to do.
static void wait_for_work(struct team *team) {
  uint64_t end = now_us() + team->spin_us;
  while (idle(team)) {
    for (int i = 0; i < pauses_per_look && idle(team); i++) pause_briefly();
    if (now_us() < end) continue;
    pthread_mutex_lock(&team->mutex);
    // Whoever posts work after this sees a sleeper; whoever did before is seen by `idle`.
    atomic_fetch_add(&team->sleepers, 1);
    if (idle(team)) pthread_cond_wait(&team->work_or_end, &team->mutex);
    atomic_fetch_sub(&team->sleepers, 1);
    pthread_mutex_unlock(&team->mutex);
    // The section that it was woken for may be over, but more of the run comes.
    end = now_us() + team->spin_us;
  }
}

static void wake(struct team *team) {
  if (atomic_load(&team->sleepers) == 0) return;
  pthread_mutex_lock(&team->mutex);
  pthread_cond_broadcast(&team->work_or_end);
  pthread_mutex_unlock(&team->mutex);
}

static void *help(void *context) {
  struct team *team = context;
  while (!atomic_load(&team->ends)) {
    if (!do_part(team)) wait_for_work(team);
  }
  return NULL;
}

void work_together(struct team *team, size_t count, void (*part)(void *work, size_t i), void *work) {
  if (count <= 1 || atomic_flag_test_and_set(&team->in_use)) {
    for (size_t i = 0; i < count; i++) part(work, i);
    return;
  }
  team->part = part;
  team->work = work;
  atomic_store_explicit(&team->finished, 0, memory_order_relaxed);
  atomic_store(&team->parts, (uint64_t)count << 32);
  wake(team);
  while (do_part(team)) continue;
  uint64_t patient_until = 0;
  for (unsigned looks = 1; atomic_load_explicit(&team->finished, memory_order_acquire) < count; looks++) {
    pause_briefly();
    if (looks % pauses_per_look != 0) continue;
    if (patient_until == 0) patient_until = now_us() + patience_us;
    else if (now_us() > patient_until) sched_yield();
  }
  atomic_flag_clear(&team->in_use);
}

static void end_team(struct team *team) {
  atomic_store(&team->ends, true);
  wake(team);
  for (size_t i = 0; i < team->helpers; i++) pthread_join(team->threads[i], NULL);
  pthread_cond_destroy(&team->work_or_end);
  pthread_mutex_destroy(&team->mutex);
  free(team->threads);
  free(team);
}

struct team *new_team(size_t threads, unsigned spin_us) {
  struct team *team = aligned_alloc(line_bytes, sizeof *team);
  if (team == NULL) return NULL;
  *team = (struct team){.in_use = ATOMIC_FLAG_INIT, .holders = 1, .spin_us = spin_us};
  team->threads = calloc(threads, sizeof *team->threads);
  pthread_mutex_init(&team->mutex, NULL);
  pthread_cond_init(&team->work_or_end, NULL);
  // The process's signals are for its own threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool started = team->threads != NULL;
  while (started && team->helpers + 1 < threads) {
    started = pthread_create(&team->threads[team->helpers], NULL, help, team) == 0;
    if (started) pthread_setname_np(team->threads[team->helpers++], "espalier-team");
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (started) return team;
  end_team(team);
  return NULL;
}

void join_team(struct team *team) {
  if (team != NULL) atomic_fetch_add(&team->holders, 1);
}

void leave_team(struct team *team) {
  if (team != NULL && atomic_fetch_sub(&team->holders, 1) == 1) end_team(team);
}

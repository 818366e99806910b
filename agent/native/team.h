// Threads that share the work of one session's runs.
#ifndef ESPALIER_TEAM_H
#define ESPALIER_TEAM_H

#include <stdbool.h>
#include <stddef.h>

struct team;

// Of `threads`, the calling one among them; idle ones wait for more work by spinning for `spin_us` and sleep then. Null when
// there is no memory or no thread to be had. It has one holder; the last to leave ends it.
struct team *new_team(size_t threads, unsigned spin_us);
// Both do nothing for null.
void join_team(struct team *team);
void leave_team(struct team *team);

// Calls `part(work, i)` for i in [0, count) on all of its threads, and returns when all have returned. A second call at the
// same time does its parts alone.
void work_together(struct team *team, size_t count, void (*part)(void *work, size_t i), void *work);

#endif

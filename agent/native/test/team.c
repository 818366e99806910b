// Has teams of several sizes do many sections of work, with threads that sleep between them and with threads that spin, and
// checks that every part is done once. For processors that tests don't run on (under an emulator). Prints how many it did.
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "../team.h"

enum { most_parts = 40, sections = 4000, steps = 300 };

struct section {
  unsigned number;
  unsigned done_in[most_parts];  // the section in which the part was done last
  atomic_uint parts;
};

static void do_part(void *work, size_t i) {
  struct section *section = work;
  // Long enough for others to come.
  for (volatile int step = 0; step < steps; step++) continue;
  // A part done twice, or too late, is seen by the count.
  section->done_in[i] = section->number;
  atomic_fetch_add(&section->parts, 1);
}

int main(void) {
  static const unsigned spins_us[] = {0, 50};
  unsigned failed = 0, done = 0;
  for (size_t threads = 1; threads <= 4; threads++)
    for (int way = 0; way < 2; way++) {
      struct team *team = new_team(threads, spins_us[way]);
      if (team == NULL) abort();
      struct section section = {0};
      for (section.number = 1; section.number <= sections; section.number++, done++) {
        size_t count = 1 + section.number * 7 % most_parts;
        atomic_store(&section.parts, 0);
        work_together(team, count, do_part, &section);
        bool whole = atomic_load(&section.parts) == count;
        for (size_t i = 0; i < count; i++) whole = whole && section.done_in[i] == section.number;
        failed += !whole;
      }
      leave_team(team);
    }
  printf("%u sections, %u failed\n", done, failed);
  return failed > 0;
}

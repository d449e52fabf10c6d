// SPDX-License-Identifier: MIT
// The lanes of a work-group as fibres: each runs until it meets a barrier, then the next.
// A sanitizer is told of each switch. ThreadSanitizer sees a thread in each lane, and order
// between lanes at barriers alone; each work-group then has a thread of its own, so that
// conflicts between work-groups are seen too.
namespace card {
enum { STACK = 1 << 18, GUARD = 1 << 14, WARP = 32, HOST = -1 };
// Sites where a lane can be, beside the line of a barrier.
enum { ENDED = 0, IN_WARP = -1, RUNNING = -2 };

struct Fiber {
  void *pointer;
  // For the sanitizers.
  void *fake, *thread;
  const void *bottom;
  size_t size;
};

struct Team {
  // Lanes that there are, and those that run.
  int capacity, lanes, step;
  char *stacks;
  Fiber host;
  Fiber *fibers;
  int *sites, *rounds, *warp_rounds;
  // Addresses that stand for both ends of a launch, and for barriers in turn.
  char start, end, marks[2];
  void (*run)(const void *arguments);
  const void *arguments;
  char problem[160];
};

CARD_OWN Team *team;
CARD_OWN int lane, group;
static int lanes, groups;
// Line of a barrier that is not waited at.
static int left_out;

/// Go on with another lane, or with what launched them.
CARD_RAW static void change(int to) {
  Team &t = *team;
  Fiber &leaving = lane == HOST ? t.host : t.fibers[lane];
  Fiber &entering = to == HOST ? t.host : t.fibers[to];
  if (lane != HOST) CARD_RELEASE(&t.end);  // it may be the last that the lane does
  lane = to;
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(entering.thread, 1);
#elif defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&leaving.fake, entering.bottom, entering.size);
#endif
  card_switch(&leaving.pointer, entering.pointer);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(leaving.fake, nullptr, nullptr);
#endif
}

/// Leave a launch whose lanes do not agree. None of them goes on.
CARD_RAW static void give_up(int one, int other) {
  int lanes[2] = {one, other};
  char text[2][40];
  for (int n = 0; n < 2; ++n) {
    const int site = team->sites[lanes[n]];
    if (site > 0) snprintf(text[n], sizeof text[n], "waits in line %d", site);
    else strcpy(text[n], site == ENDED ? "has ended" : "waits for its warp");
  }
  snprintf(team->problem, sizeof team->problem,
           "expected all lanes of a work-group at the same barrier, found that lane %d %s "
           "and lane %d %s", one, text[0], other, text[1]);
  if (lane != HOST) change(HOST);
}

/// Go on with the next lane, after the last with the host.
CARD_RAW static void pass(int site) {
  Team &t = *team;
  const int next = lane + t.step;
  t.sites[lane] = site;
  change(next < 0 || next >= t.lanes ? HOST : next);
}

/// Wait for all lanes of the work-group, at a line of the source.
CARD_RAW static void wait_group(int site) {
  if (site == left_out) return;
  Team &t = *team;
  const int me = lane;
  [[maybe_unused]] char *mark = &t.marks[t.rounds[me]++ & 1];
  CARD_RELEASE(mark);
  pass(site);
  CARD_ACQUIRE(mark);
  t.sites[me] = RUNNING;
}

/// Wait for all lanes of the warp, which puts nothing in memory in order.
CARD_RAW static void wait_warp() {
  Team &t = *team;
  const int me = lane, low = me / WARP * WARP;
  const int high = (low + WARP < t.lanes ? low + WARP : t.lanes) - 1;
  t.sites[me] = IN_WARP;
  ++t.warp_rounds[me];
  int next = me + t.step;
  if (next < low || next > high) {
    next = t.step > 0 ? low : high;
    if (t.sites[next] != IN_WARP) give_up(me, next);
  }
  if (next != me) change(next);
  t.sites[me] = RUNNING;
}

/// Run one work-group after the other.
CARD_RAW static void lane_main() {
  Team &t = *team;
#if defined(__SANITIZE_ADDRESS__)
  const void *bottom;
  size_t size;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &size);
  if (!t.host.bottom) t.host.bottom = bottom, t.host.size = size;
#endif
  for (;;) {
    CARD_ACQUIRE(&t.start);
    t.run(t.arguments);
    pass(ENDED);
  }
}

CARD_RAW static void close_team(Team *t) {
  if (!t) return;
#if defined(__SANITIZE_THREAD__)
  for (int n = 0; n < t->capacity; ++n) __tsan_destroy_fiber(t->fibers[n].thread);
#endif
  munmap(t->stacks, size_t(t->capacity) * STACK);
  delete[] t->fibers;
  delete[] t->sites;
  delete t;
}

/// Lanes that have not started; nullptr without memory for their stacks.
CARD_RAW static Team *open_team(int lanes) {
  void *stacks = mmap(nullptr, size_t(lanes) * STACK, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (stacks == MAP_FAILED) return nullptr;
  Team *t = new Team();
  t->capacity = lanes;
  t->stacks = static_cast<char *>(stacks);
  t->fibers = new Fiber[lanes]();
  t->sites = new int[3 * lanes]();
  t->rounds = t->sites + lanes;
  t->warp_rounds = t->rounds + lanes;
#if defined(__SANITIZE_THREAD__)
  t->host.thread = __tsan_get_current_fiber();
#endif
  for (int n = 0; n < lanes; ++n) {
    char *stack = t->stacks + size_t(n) * STACK;
    mprotect(stack, GUARD, PROT_NONE);  // an overflow must not reach the next lane's
    void **top = reinterpret_cast<void **>(stack + STACK - 64);
    Fiber &fiber = t->fibers[n];
    fiber.pointer = top - CARD_SAVED;
    static_cast<void **>(fiber.pointer)[CARD_ENTRY] = reinterpret_cast<void *>(lane_main);
    fiber.bottom = stack + GUARD;
    fiber.size = STACK - GUARD;
#if defined(__SANITIZE_THREAD__)
    fiber.thread = __tsan_create_fiber(0);
#endif
  }
  return t;
}

/// Run all lanes of a work-group; false if they do not meet the same barriers.
CARD_RAW static bool run_group() {
  Team &t = *team;
  const int first = t.step > 0 ? 0 : t.lanes - 1;
  lane = HOST;
  // Lanes that had no part in the launch before have met fewer barriers.
  for (int n = 0; n < t.lanes; ++n) t.rounds[n] = t.warp_rounds[n] = 0;
  CARD_RELEASE(&t.start);
  do {
    change(first);
    for (int n = 0; n < t.lanes && !t.problem[0]; ++n)
      if (t.sites[n] != t.sites[first]) give_up(first, n);
  } while (!t.problem[0] && t.sites[first] != ENDED);
  CARD_ACQUIRE(&t.end);
  return !t.problem[0];
}
}  // namespace card

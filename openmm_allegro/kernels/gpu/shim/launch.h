// SPDX-License-Identifier: MIT
// Launches of kernels from arrays of arguments; after the source, whose kernels CARD_KERNELS
// lists.
namespace card {
/// As allegro_gpu_argument.
struct Argument {
  int64_t kind;
  void *buffer;
  int64_t integer;
  double real;
};
struct Kernel {
  const char *name;
  void (*run)(const void *arguments);
  int64_t count;
  /// Which of enum allegro_gpu_kind each argument has.
  const int *kinds;
};

template <class T> constexpr int kind =
    std::is_pointer_v<T> ? 0 : std::is_floating_point_v<T> ? 2 : 1;

template <class T> static T value(const Argument &argument) {
  if constexpr (kind<T> == 0) return static_cast<T>(argument.buffer);
  else if constexpr (kind<T> == 2) return T(argument.real);
  else return T(argument.integer);
}

template <auto function> struct Bound;
template <class... T, void (*function)(T...)> struct Bound<function> {
  static constexpr int kinds[] = {kind<T>..., 0};
  template <size_t... N>
  static void spread(const Argument *arguments, std::index_sequence<N...>) {
    function(value<T>(arguments[N])...);
  }
  static void run(const void *arguments) {
    spread(static_cast<const Argument *>(arguments), std::index_sequence_for<T...>());
  }
  static constexpr Kernel kernel(const char *name) {
    return {name, run, sizeof...(T), kinds};
  }
};

static const Kernel kernels[] = {CARD_KERNELS};

struct Launch {
  const Kernel *kernel;
  const Argument *arguments;
  bool backwards, poison;
  char problem[sizeof(Team::problem)];
};

/// Keep a problem of one of the groups.
CARD_RAW static bool refuse(Launch &launch, const char *problem) {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&mutex);
  snprintf(launch.problem, sizeof launch.problem, "%s", problem);
  pthread_mutex_unlock(&mutex);
  return false;
}

/// Run the group of this thread; the team is kept for the next.
CARD_RAW static bool run_one(Launch &launch, int number) {
  if (team && (team->capacity < lanes || team->problem[0])) close_team(team), team = nullptr;
  if (!team) team = open_team(lanes);
  if (!team) return refuse(launch, "expected memory for the stacks of lanes, found none");
#if defined(CARD_SECTION)
  if (launch.poison && __start_work_group)
    memset(__start_work_group, 0xff, size_t(__stop_work_group - __start_work_group));
#endif
  group = number;
  team->lanes = lanes;
  team->step = launch.backwards ? -1 : 1;
  team->run = launch.kernel->run;
  team->arguments = launch.arguments;
  return run_group() || refuse(launch, team->problem);
}

#if defined(__SANITIZE_THREAD__)
// A thread for each work-group, kept for the next launch. Each waits for its own semaphore,
// so that no order comes between groups.
struct Worker {
  int number;
  Launch *launch;
  sem_t start, end;
};
enum { WORKERS = 256 };
static Worker workers[WORKERS];
static int working;

static void *work(void *given) {
  Worker &worker = *static_cast<Worker *>(given);
  for (;;) {
    while (sem_wait(&worker.start)) {
    }
    for (int n = worker.number; n < groups; n += WORKERS) run_one(*worker.launch, n);
    sem_post(&worker.end);
  }
}

static void run_all(Launch &launch) {
  const int count = groups < WORKERS ? groups : WORKERS;
  for (; working < count; ++working) {
    Worker &worker = workers[working];
    worker.number = working;
    sem_init(&worker.start, 0, 0);
    sem_init(&worker.end, 0, 0);
    pthread_t thread;
    if (pthread_create(&thread, nullptr, work, &worker)) abort();
    pthread_detach(thread);
  }
  for (int n = 0; n < count; ++n) workers[n].launch = &launch;
  for (int n = 0; n < count; ++n) sem_post(&workers[n].start);
  for (int n = 0; n < count; ++n)
    while (sem_wait(&workers[n].end)) {
    }
}
#else
static void run_all(Launch &launch) {
  for (int n = 0; n < groups; ++n)
    if (!run_one(launch, launch.backwards ? groups - 1 - n : n)) return;
}
#endif
}  // namespace card

extern "C" {
/// Number of the kernel of a name, or -1.
int64_t card_kernel(const char *name) {
  int64_t count = sizeof card::kernels / sizeof card::kernels[0];
  while (--count >= 0 && strcmp(card::kernels[count].name, name)) {
  }
  return count;
}

/// Launch a kernel, and wait for it; 1 and a message if it cannot be.
int64_t card_launch(int64_t number, int64_t groups, int64_t threads, const void *arguments,
                    int64_t count, int64_t backwards, int64_t poison, int64_t left_out,
                    char *message, int64_t room) {
  const card::Kernel &kernel = card::kernels[number];
  const card::Argument *given = static_cast<const card::Argument *>(arguments);
  if (count != kernel.count) {
    snprintf(message, room, "%s: expected %lld arguments, found %lld", kernel.name,
             (long long)kernel.count, (long long)count);
    return 1;
  }
  for (int64_t n = 0; n < count; ++n)
    if (given[n].kind != kernel.kinds[n]) {
      snprintf(message, room, "%s: expected argument %lld of kind %d, found %lld",
               kernel.name, (long long)n, kernel.kinds[n], (long long)given[n].kind);
      return 1;
    }
  card::Launch launch = {&kernel, given, backwards != 0, poison != 0, {}};
  card::groups = int(groups);
  card::lanes = int(threads);
  card::left_out = int(left_out);
  card::run_all(launch);
  if (!launch.problem[0]) return 0;
  snprintf(message, room, "%s: %s", kernel.name, launch.problem);
  return 1;
}
}

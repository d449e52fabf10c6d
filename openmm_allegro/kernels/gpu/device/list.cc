R"DEVICE(
// The pair list, the rows of each step and their groups. A team of threads has a centre.
#define TEAM (LIST_THREADS / TEAMS)
// Pairs of a centre that a thread of its team looks at before the others are heard.
#define PART 64

// Cells from lists of atoms: `heads` of each bucket and the atom `after` each atom.
KERNEL LAUNCH_BOUNDS(PLACE_THREADS) void bin(GLOBAL const double *RESTRICT wrapped,
                                   GLOBAL const double *RESTRICT frames,
                                   GLOBAL int *RESTRICT cells, GLOBAL int *RESTRICT heads,
                                   GLOBAL int *RESTRICT after, GLOBAL int *RESTRICT state,
                                   int atoms, int turn, int buckets, double reach) {
  if (*STATE(state, turn, BAD) || !*STATE(state, turn, TO_BUILD)) return;
  double frame[FRAME];
  for (int k = 0; k < FRAME; ++k) frame[k] = frames[k];
  for (int i = (int)GLOBAL_ID; i < atoms; i += (int)GLOBAL_SIZE) {
    const double at[3] = {wrapped[3 * i], wrapped[3 * i + 1], wrapped[3 * i + 2]};
    int cell[3];
    for (int k = 0; k < 3; ++k)
      cells[3 * i + k] = cell[k] = cell_along(frame, k, at, reach);
    const int bucket = bucket_of(cell[0], cell[1], cell[2], buckets);
    after[i] = ATOMIC_EXCHANGE(heads + bucket, i);
  }
}

// What the kernel works on.
typedef struct {
  GLOBAL const double *positions;
  GLOBAL const int *kinds;
  GLOBAL const double *limits;
  GLOBAL const int *cells;
  GLOBAL const int *heads;
  GLOBAL const int *after;
  GLOBAL mm_ulong *keys;  // of the team
  GLOBAL int *counts;
  GLOBAL int *neighbors;
  GLOBAL int *images;
  GLOBAL int *rows;
  int atoms, number_of_kinds, buckets, capacity, member;
  double box[9], frame[FRAME];
} List;

// The vector to an atom, and its reach from the centre.
DEVICE double reach_of(const List *s, int center, int neighbor, double *d) {
  for (int axis = 0; axis < 3; ++axis)
    d[axis] = s->positions[3 * neighbor + axis] - s->positions[3 * center + axis];
  return s->limits[2 * (s->kinds[center] * s->number_of_kinds + s->kinds[neighbor]) + 1];
}

// Keys of a centre's pairs among all atoms, by one thread of its team.
DEVICE void search_all(const List *s, int center, LOCAL_ARG int *number) {
  double d[3];
  for (int j = s->member; j < s->atoms; j += TEAM) {
    const double reach = reach_of(s, center, j, d);
    if (!find_images(center, j, d, s->box, s->frame, reach, s->keys, number, s->capacity))
      return;
  }
}

// The same among the atoms of the cells around it.
DEVICE void search_cells(const List *s, int center, LOCAL_ARG int *number) {
  double d[3];
  for (int n = s->member; n < 27; n += TEAM) {
    const int offset[3] = {n / 9 - 1, n / 3 % 3 - 1, n % 3 - 1};
    int cell[3], is_there = 1;
    for (int k = 0; k < 3; ++k) {
      const int along = (int)s->frame[FRAME_CELLS + k];
      cell[k] = s->cells[3 * center + k] + offset[k];
      if (along == 1 && offset[k] != 0) is_there = 0;
      if (along > 0) cell[k] = (cell[k] + along) % along;
    }
    if (!is_there) continue;
    int j = s->heads[bucket_of(cell[0], cell[1], cell[2], s->buckets)];
    for (; j >= 0; j = s->after[j]) {
      GLOBAL const int *other = s->cells + 3 * j;
      if (other[0] != cell[0] || other[1] != cell[1] || other[2] != cell[2]) continue;
      const double reach = reach_of(s, center, j, d);
      if (!find_images(center, j, d, s->box, s->frame, reach, s->keys, number, s->capacity))
        return;
    }
  }
}

// Find the pairs of a centre, and write them in the order of their keys; the number of
// them. Without a centre, -1, only the barriers are met. A barrier must follow.
DEVICE int build(const List *s, int center, LOCAL_ARG int *number) {
  if (s->member == 0) *number = 0;
  SYNC_THREADS;
  if (center >= 0 && s->buckets) search_cells(s, center, number);
  else if (center >= 0) search_all(s, center, number);
  SYNC_THREADS;
  const int count = *number;
  if (center < 0 || count > s->capacity) return count;
  for (int n = s->member; n < count; n += TEAM) {
    const mm_ulong key = s->keys[n];
    int place = center * s->capacity;
    for (int other = 0; other < count; ++other) place += s->keys[other] < key;
    s->neighbors[place] = (int)(key >> 24);
    s->images[place] = image_of(key);
  }
  return count;
}

// Rows of a centre: places of its pairs within the cutoff, in order. The threads of its
// team have parts of the list one after the other. Returns the number of rows.
DEVICE int gather(const List *s, int center, int count, LOCAL_ARG int *near) {
  GLOBAL const int *neighbors = s->neighbors + center * s->capacity;
  GLOBAL const int *images = s->images + center * s->capacity;
  int degree = 0;
  for (int first = 0; first < s->capacity; first += TEAM * PART) {
    const int span = count - first < TEAM * PART ? count - first : TEAM * PART;
    const int part = span > 0 ? (span + TEAM - 1) / TEAM : 0;
    const int begin = first + s->member * part;
    mm_ulong is_near = 0;
    int number = 0;
    for (int n = 0; n < part && begin + n < count; ++n) {
      const int j = neighbors[begin + n], image = images[begin + n];
      double d[3], v[3];
      for (int axis = 0; axis < 3; ++axis)
        d[axis] = s->positions[3 * j + axis] - s->positions[3 * center + axis];
      const double limit =
          s->limits[2 * (s->kinds[center] * s->number_of_kinds + s->kinds[j])];
      const double square = to_image(d, s->box, (image << 24) >> 24, (image << 16) >> 24,
                                     (image << 8) >> 24, v);
      if (square >= limit) continue;
      is_near |= (mm_ulong)1 << n;
      ++number;
    }
    near[s->member] = number;
    SYNC_THREADS;
    int place = center * s->capacity + degree;
    for (int n = 0; n < TEAM; ++n) {
      if (n < s->member) place += near[n];
      degree += near[n];
    }
    for (int n = 0; n < part; ++n)
      if (is_near >> n & 1) s->rows[place++] = begin + n;
    SYNC_THREADS;
  }
  return degree;
}

// Put centres into groups, the largest first, each into the fullest group that has room.
// Groups with so much room are chained from `heads`. Returns the number of groups.
DEVICE int pack(LOCAL_ARG const int *degrees, LOCAL_ARG const int *order, int centers,
                int most_rows, int slots, LOCAL_ARG int *group_of, LOCAL_ARG int *slot_of,
                LOCAL_ARG int *heads, LOCAL_ARG int *after, LOCAL_ARG int *filled) {
  mm_ulong low = 0, high = 0;  // room from 0 and from 64 on
  int number = 0;
  for (int n = 0; n < centers; ++n) {
    const int c = order[n], degree = degrees[c];
    group_of[c] = -1;
    if (degree <= 0 || degree > most_rows) continue;
    const int least = degree < 64 ? 0 : degree - 64;
    const mm_ulong small = degree < 64 ? low >> degree : 0;
    const mm_ulong large = least < 64 ? high >> least : 0;
    int group = number, room = most_rows;
    if (small || large) {
      room = small ? degree + LOWEST_BIT(small) : 64 + least + LOWEST_BIT(large);
      group = heads[room];
      heads[room] = after[group];
      const mm_ulong bit = after[group] < 0 ? (mm_ulong)1 << room % 64 : 0;
      if (room < 64) low &= ~bit;
      else high &= ~bit;
    } else {
      filled[number++] = 0;
    }
    group_of[c] = group;
    slot_of[c] = filled[group]++;
    room -= degree;
    if (room == 0 || filled[group] == slots) continue;
    after[group] = (room < 64 ? low : high) >> room % 64 & 1 ? heads[room] : -1;
    heads[room] = group;
    if (room < 64) low |= (mm_ulong)1 << room;
    else high |= (mm_ulong)1 << room % 64;
  }
  return number;
}

KERNEL LAUNCH_BOUNDS(LIST_THREADS) void list(
    GLOBAL double *RESTRICT x, GLOBAL const double *RESTRICT wrapped,
    GLOBAL double *RESTRICT reference, GLOBAL int *RESTRICT wraps,
    GLOBAL const int *RESTRICT new_wraps, GLOBAL const double *RESTRICT box,
    GLOBAL const double *RESTRICT frames, GLOBAL double *RESTRICT built,
    GLOBAL const int *RESTRICT kinds, GLOBAL const double *RESTRICT limits,
    GLOBAL const int *RESTRICT cells, GLOBAL const int *RESTRICT heads,
    GLOBAL const int *RESTRICT after, GLOBAL mm_ulong *RESTRICT keys,
    GLOBAL int *RESTRICT counts, GLOBAL int *RESTRICT neighbors, GLOBAL int *RESTRICT images,
    GLOBAL int *RESTRICT degrees, GLOBAL int *RESTRICT rows, GLOBAL int *RESTRICT groups,
    GLOBAL int *RESTRICT wide_centers, GLOBAL int *RESTRICT state,
    GLOBAL int *RESTRICT counters, int atoms, int capacity, int number_of_kinds, int buckets,
    int turn, int chunk, int most_rows, int slots) {
  LOCAL int numbers[TEAMS], near[LIST_THREADS], made[2], degree[LARGEST_CHUNK];
  LOCAL int order[LARGEST_CHUNK], group_of[LARGEST_CHUNK], slot_of[LARGEST_CHUNK];
  LOCAL int room[LARGEST_ROWS], next[LARGEST_CHUNK], filled[LARGEST_CHUNK];
  if (*STATE(state, turn, BAD)) return;
  const int builds = *STATE(state, turn, TO_BUILD), team = THREAD / TEAM;
  List s = {builds ? wrapped : x, kinds, limits, cells, heads, after,
            keys + (GROUP * TEAMS + team) * capacity, counts, neighbors, images, rows, atoms,
            number_of_kinds, buckets, capacity, THREAD % TEAM};
  for (int k = 0; k < 9; ++k) s.box[k] = box[k];
  for (int k = 0; k < FRAME; ++k) s.frame[k] = frames[k];
  if ((int)GLOBAL_ID == 0) {
    counters[REBUILD] = builds, counters[REBUILDS] += builds;
    for (int k = 0; k < 9; ++k) built[k] = s.box[k];
  }
  for (int first = GROUP * chunk; first < atoms; first += GROUPS * chunk) {
    const int centers = atoms - first < chunk ? atoms - first : chunk;
    for (int c = team; c < chunk; c += TEAMS) {
      const int is_there = c < centers, is_first = is_there && s.member == 0;
      const int center = is_there ? first + c : -1;
      int count = 0;
      if (builds) {
        count = build(&s, center, numbers + team);
        if (is_first) {
          counts[center] = count;
          ATOMIC_MAX(counters + LARGEST_COUNT, count);
          for (int n = 3 * center; n < 3 * center + 3; ++n)
            x[n] = reference[n] = wrapped[n], wraps[n] = new_wraps[n];
        }
        SYNC_THREADS;
      } else if (is_there) {
        count = counts[center];
      }
      const int fits = is_there && count <= capacity;
      const int number = gather(&s, fits ? center : 0, fits ? count : 0, near + team * TEAM);
      if (!is_first) continue;
      if (count > MOST_NEIGHBORS) ATOMIC_MAX(counters + TOO_MANY, count);
      degrees[center] = degree[c] = fits ? number : count > MOST_NEIGHBORS ? 0 : -1;
    }
    SYNC_THREADS;
    // Larger ones first, equal ones as the centres are.
    SHARE(c, centers) {
      int place = 0;
      for (int other = 0; other < centers; ++other)
        place += degree[other] > degree[c] || (degree[other] == degree[c] && other < c);
      order[place] = c;
      if (place == 0) ATOMIC_MAX(counters + LARGEST_DEGREE, degree[c]);
      if (degree[c] < 0 || degree[c] > most_rows)
        wide_centers[ATOMIC_COUNT(counters + WIDE_MADE, 1)] = first + c;
    }
    SYNC_THREADS;
    if (THREAD == 0) {
      made[1] = pack(degree, order, centers, most_rows, slots, group_of, slot_of, room, next,
                     filled);
      made[0] = ATOMIC_COUNT(counters + GROUPS_MADE, made[1]);
    }
    SYNC_THREADS;
    GLOBAL int *here = groups + made[0] * slots;
    SHARE(c, centers) if (group_of[c] >= 0) here[group_of[c] * slots + slot_of[c]] = first + c;
    SHARE(n, made[1] * slots) if (n % slots >= filled[n / slots]) here[n] = -1;
  }
}
)DEVICE"

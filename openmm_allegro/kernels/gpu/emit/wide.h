// SPDX-License-Identifier: MIT
// The kernel `wide`: centres with any number of rows, whose segments are in scratch memory.
// Included after pair.h.

constexpr int64_t WIDE_THREADS = 256;

// The beginning of a kernel. `network` and `wide` have the same arguments, but for their
// `centers`: groups of centres, or single ones. They add the energies of a centre's pairs to
// its energy, without its SHIFTS, which centres without pairs have too; and forces and strain
// in fixed point, if wants_forces.
static void write_arguments(const char *name, const char *centers, const char *threads,
                            Text &text) {
  text << "\nKERNEL LAUNCH_BOUNDS(" << threads << ") void " << name
       << "(GLOBAL const double *RESTRICT x,\n"
          "    GLOBAL const double *RESTRICT box, GLOBAL const int *RESTRICT types,\n"
          "    GLOBAL const int *RESTRICT neighbors, GLOBAL const int *RESTRICT images,\n"
          "    GLOBAL const int *RESTRICT degrees, GLOBAL const int *RESTRICT rows,\n"
          "    GLOBAL const int *RESTRICT "
       << centers
       << ", GLOBAL int *RESTRICT counters,\n"
          "    GLOBAL const NET *RESTRICT weights, GLOBAL const double *RESTRICT constants,\n"
          "    GLOBAL const int *RESTRICT integers, GLOBAL NET *RESTRICT scratch,\n"
          "    GLOBAL double *RESTRICT energies, GLOBAL mm_ulong *RESTRICT forces,\n"
          "    GLOBAL mm_ulong *RESTRICT strain, int atoms, int capacity, int wants_forces,\n"
          "    int wide_rows) {\n";
}

static void write_wide(const Model &, const Places &, allegro_gpu_sizes *sizes, Text &text) {
  sizes->wide_threads = WIDE_THREADS;
  sizes->wide_memory = sizes->wide_row = sizes->wide_rest = 0;
  text.define("WIDE_THREADS", WIDE_THREADS);
  write_arguments("wide", "wide_centers", "WIDE_THREADS", text);
  text << "}\n";
}

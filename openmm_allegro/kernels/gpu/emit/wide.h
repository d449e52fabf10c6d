// SPDX-License-Identifier: MIT
// The kernel `wide`: centres with any number of rows, whose segments are in scratch memory.
// Included after wide_lines.h.

static const char *const TENSOR =
#include "../device/tensor.cc"
    ;
static const char *const WIDE =
#include "../device/wide.cc"
    ;
static const char *const WIDE_FORCES =
#include "../device/wide_forces.cc"
    ;

constexpr int64_t WIDE_THREADS = 256;
constexpr int64_t WIDE_SUMS = 12 * WIDE_THREADS;  // force and strain of each thread

// The beginning of a kernel. `network` and `wide` have the same arguments, but for their
// `centers`: groups of centres, or single ones. They add the energies of a centre's pairs to
// its energy, without its SHIFTS, which centres without pairs have too; and forces and strain
// in fixed point, if wants_forces. Those of programs that give charges add to them too, and
// add to the energies, if these are wanted; `seeds` count where forces are.
static void write_arguments(const Model &m, const char *name, const char *centers,
                            const char *threads, Text &text) {
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
          "    int wide_rows"
       << (m.is_charged ? ",\n    GLOBAL double *RESTRICT charges, "
                          "GLOBAL const double *RESTRICT seeds,\n"
                          "    int wants_energies, int wants_charges"
                        : "")
       << ") {\n";
}

static void write_wide_numbers(const Model &m, const Columns &c, int64_t rest, Text &text) {
  text.define("WIDE_THREADS", WIDE_THREADS);
  text.define("WIDE_SUMS", WIDE_SUMS);
  text.define("WIDE_ROW", c.count);
  text.define("WIDE_REST", rest);
  text.define("WIDE_COUNTER", int(ALLEGRO_GPU_WIDE));
  text.define("TOO_MANY_COUNTER", int(ALLEGRO_GPU_TOO_MANY));
  text.define("BASIS", m.basis);
  text.define("SLOPE", m.slope);
  text.define("HARMONIC", m.harmonic);
  text.define("FIRST", m.first);
  text.define("D_BASIS", c.derivative[m.basis]);
  text.define("D_HARMONIC", c.derivative[m.harmonic]);
  text.define("D_FIRST", c.derivative[m.first]);
  text.define("TABLE_SLOPE", c.table_slope);
  text.define("TABLE_PLACE", c.table_place);
  text.define("KINDS", c.kinds);
  text.define("NEIGHBORS", c.neighbors);
  text.define("IMAGES", c.images);
  text.define("STARTS", c.starts);
  // Degree of a component, and first component of a degree or the end.
  std::string degree, first;
  for (long l = 1; l < m.degrees; ++l) {
    degree += "(a) < " + std::to_string(m.first_component[l]) + " ? " +
              std::to_string(l - 1) + " : ";
    first += "(l) < " + std::to_string(l) + " ? " +
             std::to_string(m.first_component[l - 1]) + " : ";
  }
  first += "(l) < " + std::to_string(m.degrees) + " ? " +
           std::to_string(m.first_component[m.degrees - 1]) + " : " +
           std::to_string(m.components);
  text.define("DEGREE(a)", "(" + degree + std::to_string(m.degrees - 1) + ")");
  text.define("FIRST_OF(l)", "(" + first + ")");
}

// A centre's rows and the arrays that are its own.
static const char *const WIDE_BEGIN = R"(  WORK_MEMORY(double, sums, WIDE_SUMS + 1);
  LOCAL_ARG int *exact = (LOCAL_ARG int *)(sums + WIDE_SUMS);
  Rows r;
  r.x = scratch + GROUP * ((mm_long)wide_rows * WIDE_ROW + WIDE_REST);
  r.kinds = (GLOBAL int *)(r.x + (mm_long)wide_rows * KINDS);
  r.neighbors = (GLOBAL int *)(r.x + (mm_long)wide_rows * NEIGHBORS);
  r.images = (GLOBAL int *)(r.x + (mm_long)wide_rows * IMAGES);
  r.starts = (GLOBAL int *)(r.x + (mm_long)wide_rows * STARTS);
  GLOBAL NET *centers = r.x + (mm_long)wide_rows * WIDE_ROW;
  for (int place = GROUP; place < counters[WIDE_COUNTER]; place += GROUPS) {
    const int center = wide_centers[place];
    r.stride = wide_rows;
    r.count = wide_neighbors(r, center, x, box, types, neighbors, images, degrees, rows,
                             constants, atoms, capacity, (LOCAL_ARG int *)sums);
    if (r.count > wide_rows && THREAD == 0) {
      energies[center] = sqrt(-1.0);
      ATOMIC_MAX(&counters[TOO_MANY_COUNTER], r.count);
    }
    if (r.count > wide_rows || r.count == 0) continue;
    // columns as near to each other as whole lines of memory allow
    r.stride = r.count + 31 < wide_rows ? (r.count + 31) / 32 * 32 : wide_rows;
    const double factor = constants[FACTORS + types[center]];
    const NET norm = (NET)constants[NORM + types[center]];
#if POINTS
    if (THREAD == 0) *exact = 0;
    SYNC_THREADS
#endif
    wide_pairs(r, x, box, types, constants, center, exact);
)";

static void write_wide(const Model &m, const Places &p, allegro_gpu_sizes *sizes, Text &text) {
  const Columns columns = plan_columns(m);
  WideText wide(m, p, columns, text);
  sizes->wide_threads = WIDE_THREADS;
  sizes->wide_memory = (WIDE_SUMS + 1) * sizeof(double);
  sizes->wide_row = columns.count;
  sizes->wide_rest = wide.centers_size();
  write_wide_numbers(m, columns, wide.centers_size(), text);
  text << TENSOR << WIDE << WIDE_FORCES;
  write_arguments(m, "wide", "wide_centers", "WIDE_THREADS", text);
  text << WIDE_BEGIN;
  wide.write_barrier();
  // of a distance and two elements alone
  const auto write_stage = [&](auto write) {
    if (m.points) text << "    if (*exact) {\n";
    (wide.*write)(0, m.stage);
    if (m.points) wide.write_barrier(), text << "    }\n";
  };
  write_stage(&WideText::write_forward);
  if (m.points) text << "    wide_table(r, weights);\n", wide.write_barrier();
  wide.write_forward(m.stage, m.operations);
  wide.write_energy();
  text << "    if (!wants_forces) continue;\n    // the way back\n";
  wide.write_zeros();
  wide.write_backward(m.stage, m.operations);
  if (m.points) wide.write_barrier();
  write_stage(&WideText::write_backward);
  if (!m.points) wide.write_barrier();
  text << "    wide_forces(r, x, box, constants, center, atoms, forces, sums);\n"
          "    sum_threads(sums, 12);\n"
          "    add_forces(center, atoms, forces, strain, sums);\n  }\n}\n";
}

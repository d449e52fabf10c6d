// SPDX-License-Identifier: MIT
// The kernel `wide`: centres with any number of rows, whose segments are in scratch memory.
// Included after pair.h and plan.h.

static const char *const TENSOR =
#include "../device/tensor.cc"
    ;
static const char *const WIDE =
#include "../device/wide.cc"
    ;

constexpr int64_t WIDE_THREADS = 256;
constexpr int64_t WIDE_SUMS = 12 * WIDE_THREADS;  // force and strain of each thread

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

// Writes the lines of `wide` that a program has, operation after operation.
class WideText {
 public:
  WideText(const Model &m, const Places &p, const Columns &c, Text &text)
      : m(m), p(p), c(c), text(text) {
    for (long n = 0; n < m.layers; ++n) {
      environment.push_back(take(m.components));
      d_environment.push_back(take(m.components));
      chain.emplace_back();
      for (long j = 0; j <= n; ++j) chain[n].push_back(take(m.layer[j].dim_in));
    }
    gradient[0] = take(m.widest), gradient[1] = take(m.widest);
  }

  // Numbers of a work-group's arrays of the centre.
  int64_t centers_size() const { return size; }

  void write_forward(long begin, long end) {
    for (long n = begin; n < end; ++n) forward(n);
  }
  void write_backward(long begin, long end) {
    for (long n = end - 1; n >= begin; --n) backward(n);
  }
  void write_zeros();
  void write_energy();

 private:
  const Model &m;
  const Places &p;
  const Columns &c;
  Text &text;
  int64_t size = 0;
  std::vector<int64_t> environment, d_environment;  // of each layer
  std::vector<std::vector<int64_t>> chain;          // of each layer, from each layer on
  int64_t gradient[2];                              // by a chain

  int64_t take(int64_t components) {
    const int64_t start = size;
    size += components * m.channels;
    return start;
  }

  int64_t derivative(int64_t column) const { return c.derivative[column]; }

  void call(const char *function, const std::string &arguments) {
    text << "    " << function << "(" << arguments << ");\n";
  }
  void sync() { text << "    SYNC_THREADS\n"; }

  void forward(long n);
  void backward(long n);
  void tensor_forward(const allegro_tensor &op);
  void tensor_backward(const allegro_tensor &op, long n);
};

// Arguments of a function, separated by commas.
template <typename... A> static std::string arguments(const A &...each) {
  Text text;
  ((text << (text.all.empty() ? "" : ", ") << each), ...);
  return text.all;
}

static std::string at(const char *array, int64_t place) {
  return std::string(array) + " + " + std::to_string(place);
}

void WideText::forward(long n) {
  const allegro_operation &operation = m.operation[n];
  const std::string w = at("weights", p.forward[n]);
  switch (operation.code) {
    case ALLEGRO_LINEAR: {
      const auto &op = as<allegro_linear>(operation);
      call("linear", arguments("r", op.source, op.depth, op.target, rounded_up(op.width), w,
                               op.add));
      break;
    }
    case ALLEGRO_ACTIVATION: {
      const auto &op = as<allegro_activation>(operation);
      call("activation", arguments("r", op.kind, op.target, op.width, op.slope));
      break;
    }
    case ALLEGRO_TYPES: {
      const auto &op = as<allegro_types>(operation);
      call("scale_by_types", arguments("r", op.target, op.width, rounded_up(op.width), w));
      break;
    }
    case ALLEGRO_SPLINE: {
      const auto &op = as<allegro_spline>(operation);
      call("spline", arguments("r", op.target, op.width, rounded_up(op.width), w));
      break;
    }
    case ALLEGRO_TENSOR: return tensor_forward(as<allegro_tensor>(operation));
    default: return;
  }
  sync();
}

// Arguments of a sum over a layer's entries: starts, ends, terms and outputs.
static std::string sum_arguments(const Order &o, bool is_first_column) {
  const std::string ends = is_first_column ? at("integers", o.firsts)
                                           : at("integers", o.starts + 1);
  return arguments(at("integers", o.starts), ends, at("integers", o.terms), o.outputs);
}

void WideText::tensor_forward(const allegro_tensor &op) {
  const long layer = op.layer;
  const std::string gamma = at("centers", environment[layer]);
  call("sum_rows", arguments("r", op.environment, -1, "norm", gamma));
  sync();
  call("contract_one",
       arguments(sum_arguments(p.layer[layer].by_row, true), 2,
                 at("weights", p.layer[layer].weights), gamma,
                 at("centers", chain[layer][layer]), 0));
  sync();
  for (long j = layer - 1; j >= 0; --j) {
    call("contract", arguments(sum_arguments(p.layer[j].by_row, false),
                               at("weights", p.layer[j].weights),
                               at("centers", chain[layer][j + 1]),
                               at("centers", environment[j]), at("centers", chain[layer][j]),
                               0));
    sync();
  }
  call("project_rows",
       arguments("r", op.tensor, at("centers", chain[layer][0]), op.target));
  sync();
}

void WideText::backward(long n) {
  const allegro_operation &operation = m.operation[n];
  const int add = !m.overwrites[n];
  switch (operation.code) {
    case ALLEGRO_LINEAR: {
      const auto &op = as<allegro_linear>(operation);
      call("linear", arguments("r", derivative(op.target), op.width, derivative(op.source),
                               rounded_up(op.depth), at("weights", p.backward[n]), add));
      break;
    }
    case ALLEGRO_ACTIVATION: {
      const auto &op = as<allegro_activation>(operation);
      call("activation_back", arguments("r", derivative(op.target), op.width, op.slope));
      break;
    }
    case ALLEGRO_TYPES: {
      const auto &op = as<allegro_types>(operation);
      call("scale_by_types", arguments("r", derivative(op.target), op.width,
                                       rounded_up(op.width), at("weights", p.forward[n])));
      break;
    }
    case ALLEGRO_SPLINE: {
      const auto &op = as<allegro_spline>(operation);
      call("spline_back", arguments("r", derivative(op.target), op.width,
                                    rounded_up(op.width), at("weights", p.forward[n])));
      break;
    }
    case ALLEGRO_TENSOR: return tensor_backward(as<allegro_tensor>(operation), n);
    case ALLEGRO_ENERGY: {
      const auto &op = as<allegro_energy>(operation);
      call("energy_back", arguments("r", "(NET)factor", derivative(op.source),
                                    rounded_up(op.width), at("weights", p.forward[n]), add));
    }
  }
  sync();
}

void WideText::tensor_backward(const allegro_tensor &op, long n) {
  const long layer = op.layer;
  const int has_gradient = layer < m.layers - 1;  // by the environments, of later layers
  std::string dt = at("centers", gradient[0]), next = at("centers", gradient[1]);
  const int64_t scalars = derivative(op.target);
  call("sum_rows", arguments("r", op.tensor, scalars, "(NET)1", dt));
  call("project_rows_back",
       arguments("r", op.tensor, at("centers", chain[layer][0]), scalars, "(NET)1",
                 derivative(op.tensor), int(!m.overwrites[n])));
  sync();
  for (long j = 0; j < layer; ++j) {
    const LayerPlaces &l = p.layer[j];
    const std::string w = at("weights", l.weights);
    call("contract", arguments(sum_arguments(l.by_environment, false), w, dt,
                               at("centers", chain[layer][j + 1]),
                               at("centers", d_environment[j]), has_gradient));
    call("contract", arguments(sum_arguments(l.by_column, false), w, dt,
                               at("centers", environment[j]), next, 0));
    sync();
    std::swap(dt, next);
  }
  const std::string d_gamma = at("centers", d_environment[layer]);
  call("contract_one", arguments(sum_arguments(p.layer[layer].by_environment, true), 1,
                                 at("weights", p.layer[layer].weights), dt, d_gamma,
                                 has_gradient));
  sync();
  call("project_rows_back",
       arguments("r", op.environment, d_gamma, -1, "norm", derivative(op.environment),
                 int(!m.overwrites_environment[n])));
  sync();
}

// Zeros where the way back adds. Columns that follow each other may have derivatives that
// do not.
void WideText::write_zeros() {
  for (const Range &range : columns_zeroed(m))
    for (long begin = range.begin, end; begin < range.end; begin = end) {
      for (end = begin + 1; end < range.end; ++end)
        if (derivative(end) != derivative(end - 1) + 1) break;
      call("zero", arguments("r", derivative(begin), int64_t(end - begin)));
    }
  sync();
}

// The sum of the energies of the centre's rows, which the first thread adds.
void WideText::write_energy() {
  text << "    double energy = 0.0;\n"
          "    SHARE(row, r.count) {\n"
          "      if (r.kinds[row] < 0) continue;\n"
          "      NET part = (NET)0;\n";
  for (long n = 0; n < m.operations; ++n) {
    if (m.operation[n].code != ALLEGRO_ENERGY) continue;
    const auto &op = as<allegro_energy>(m.operation[n]);
    text << "      part += dot("
         << arguments("r", "row", op.source, op.width, at("weights", p.forward[n])) << ");\n";
  }
  text << "      energy += factor * part;\n"
          "      energy += wide_repulsion(r, row, x, box, constants, center);\n"
          "    }\n"
          "    sums[THREAD] = energy;\n"
          "    sum_threads(sums, 1);\n"
          "    if (THREAD == 0) energies[center] += sums[0];\n";
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
  r.stride = wide_rows;
  r.kinds = (GLOBAL int *)(r.x + (mm_long)wide_rows * KINDS);
  r.neighbors = (GLOBAL int *)(r.x + (mm_long)wide_rows * NEIGHBORS);
  r.images = (GLOBAL int *)(r.x + (mm_long)wide_rows * IMAGES);
  r.starts = (GLOBAL int *)(r.x + (mm_long)wide_rows * STARTS);
  GLOBAL NET *centers = r.x + (mm_long)wide_rows * WIDE_ROW;
  for (int place = GROUP; place < counters[WIDE_COUNTER]; place += GROUPS) {
    const int center = wide_centers[place];
    r.count = wide_neighbors(r, center, x, box, types, neighbors, images, degrees, rows,
                             constants, atoms, capacity, (LOCAL_ARG int *)sums);
    SYNC_THREADS
    if (r.count > wide_rows && THREAD == 0) {
      energies[center] = sqrt(-1.0);
      ATOMIC_MAX(&counters[TOO_MANY_COUNTER], r.count);
    }
    if (r.count > wide_rows || r.count == 0) continue;
    const double factor = constants[FACTORS + types[center]];
    const NET norm = (NET)constants[NORM + types[center]];
    if (THREAD == 0) *exact = !POINTS;
    SYNC_THREADS
    wide_pairs(r, x, box, types, constants, center, exact);
    SYNC_THREADS
)";

static void write_wide(const Model &m, const Places &p, allegro_gpu_sizes *sizes, Text &text) {
  const Columns columns = plan_columns(m);
  WideText wide(m, p, columns, text);
  sizes->wide_threads = WIDE_THREADS;
  sizes->wide_memory = (WIDE_SUMS + 1) * sizeof(double);
  sizes->wide_row = columns.count;
  sizes->wide_rest = wide.centers_size();
  write_wide_numbers(m, columns, wide.centers_size(), text);
  text << TENSOR << WIDE;
  write_arguments("wide", "wide_centers", "WIDE_THREADS", text);
  text << WIDE_BEGIN;
  // of a distance and two elements alone
  text << "    if (*exact) {\n";
  wide.write_forward(0, m.stage);
  text << "    }\n";
  if (m.points) text << "    wide_table(r, weights);\n    SYNC_THREADS\n";
  wide.write_forward(m.stage, m.operations);
  wide.write_energy();
  text << "    SYNC_THREADS\n    if (!wants_forces) continue;\n    // the way back\n";
  wide.write_zeros();
  wide.write_backward(m.stage, m.operations);
  text << "    if (*exact) {\n";
  wide.write_backward(0, m.stage);
  text << "    }\n"
          "    wide_forces(r, x, box, constants, center, atoms, forces, sums);\n"
          "    sum_threads(sums, 12);\n"
          "    add_forces(center, atoms, forces, strain, sums);\n"
          "    SYNC_THREADS\n  }\n}\n";
}

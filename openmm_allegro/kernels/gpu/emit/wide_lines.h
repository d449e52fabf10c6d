// SPDX-License-Identifier: MIT
// The operations of a program as calls of the functions of device/wide.cc and tensor.cc, with
// barriers between those that need one. Included after plan.h and barriers.h.

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
  int64_t centers_size() const { return rounded_up(size, LINE); }

  void write_forward(long begin, long end) {
    for (long n = begin; n < end; ++n) forward(n);
  }
  void write_backward(long begin, long end) {
    for (long n = end - 1; n >= begin; --n) backward(n);
  }
  void write_zeros();
  void write_energy();
  // A barrier, after which all that was written may be read.
  void write_barrier() {
    text << "    SYNC_THREADS\n";
    barriers.clear();
  }

 private:
  typedef std::vector<Touched> Parts;

  const Model &m;
  const Places &p;
  const Columns &c;
  Text &text;
  Barriers barriers;
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

  // Columns, and arrays of the centre, which come after them.
  static Touched columns(int64_t start, int64_t width) { return {start, start + width}; }
  static Touched elements(int64_t start, int64_t width) {
    return {start, start + width, Touched::ELEMENTS, start};
  }
  static Touched tiles(int64_t start, int64_t width) {
    return {start, start + rounded_up(width), Touched::TILES, start};
  }
  Touched center(int64_t start, int64_t components) const {
    return {c.count + start, c.count + start + components * m.channels};
  }
  Touched own_center(int64_t start, int64_t components) const {
    Touched touched = center(start, components);
    touched.sharing = Touched::CENTER;
    return touched;
  }
  Touched harmonics() const { return columns(m.harmonic, m.components); }
  Touched features(int64_t start) const { return columns(start, m.degrees * m.channels); }

  // A call, after a barrier where it needs one.
  void call(const char *function, const std::string &arguments, const Parts &reads,
            const Parts &writes) {
    if (barriers.needed(reads, writes)) text << "    SYNC_THREADS\n";
    text << "    " << function << "(" << arguments << ");\n";
  }

  void forward(long n);
  void backward(long n);
  void tensor_forward(const allegro_tensor &op);
  void tensor_backward(const allegro_tensor &op, long n);
  void first_column(const Order &o, long layer, int which, const Touched &from, int64_t to,
                    bool add);
  void project_back(int64_t w, int64_t v, int64_t scalars, const char *factor, int64_t d_w,
                    bool add);
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
      return call("linear",
                  arguments("r", op.source, op.depth, op.target, rounded_up(op.width), w,
                            op.add),
                  {columns(op.source, op.depth)}, {tiles(op.target, op.width)});
    }
    case ALLEGRO_ACTIVATION: {
      const auto &op = as<allegro_activation>(operation);
      return call("activation", arguments("r", op.kind, op.target, op.width, op.slope), {},
                  {elements(op.target, op.width), elements(op.slope, op.width)});
    }
    case ALLEGRO_TYPES: {
      const auto &op = as<allegro_types>(operation);
      return call("scale_by_types",
                  arguments("r", op.target, op.width, rounded_up(op.width), w), {},
                  {elements(op.target, op.width)});
    }
    case ALLEGRO_SPLINE: {
      const auto &op = as<allegro_spline>(operation);
      return call("spline", arguments("r", op.target, op.width, rounded_up(op.width), w),
                  {columns(m.basis, m.radial)}, {elements(op.target, op.width)});
    }
    case ALLEGRO_TENSOR: return tensor_forward(as<allegro_tensor>(operation));
  }
}

// Arguments of a sum over a layer's entries: starts, ends, terms and outputs.
static std::string sum_arguments(const Order &o, bool is_first_column) {
  const std::string ends = is_first_column ? at("integers", o.firsts)
                                           : at("integers", o.starts + 1);
  return arguments(at("integers", o.starts), ends, at("integers", o.terms), o.outputs);
}

// The sum over the entries of column 0 of a layer's coupling times one factor, index `which`
// of a term.
void WideText::first_column(const Order &o, long layer, int which, const Touched &from,
                            int64_t to, bool add) {
  // Where each output has the factor's component of its own number, a thread reads its own.
  const Layer &l = m.layer[layer];
  Touched factor = from;
  factor.sharing = Touched::CENTER;
  for (long n = 0; n < l.entries; ++n)
    if (l.entry[n].column == 0 && l.entry[n].row != l.entry[n].environment)
      factor.sharing = Touched::ANY;
  call("contract_one",
       arguments(sum_arguments(o, true), which, at("weights", p.layer[layer].weights),
                 at("centers", from.begin - c.count), at("centers", to), int(add)),
       {factor}, {own_center(to, o.outputs)});
}

void WideText::tensor_forward(const allegro_tensor &op) {
  const long layer = op.layer;
  const int64_t gamma = environment[layer];
  call("sum_rows", arguments("r", op.environment, -1, "norm", at("centers", gamma)),
       {harmonics(), features(op.environment)}, {own_center(gamma, m.components)});
  first_column(p.layer[layer].by_row, layer, 2, center(gamma, m.components),
               chain[layer][layer], false);
  for (long j = layer - 1; j >= 0; --j)
    call("contract",
         arguments(sum_arguments(p.layer[j].by_row, false), at("weights", p.layer[j].weights),
                   at("centers", chain[layer][j + 1]), at("centers", environment[j]),
                   at("centers", chain[layer][j]), 0),
         {center(chain[layer][j + 1], m.layer[j + 1].dim_in),
          center(environment[j], m.components)},
         {own_center(chain[layer][j], m.layer[j].dim_in)});
  call("project_rows",
       arguments("r", op.tensor, at("centers", chain[layer][0]), op.target),
       {harmonics(), features(op.tensor), center(chain[layer][0], m.components)},
       {elements(op.target, m.channels)});
}

void WideText::backward(long n) {
  const allegro_operation &operation = m.operation[n];
  const std::string forward = at("weights", p.forward[n]);
  const int add = !m.overwrites[n];
  switch (operation.code) {
    case ALLEGRO_LINEAR: {
      const auto &op = as<allegro_linear>(operation);
      const int64_t source = derivative(op.source), target = derivative(op.target);
      return call("linear",
                  arguments("r", target, op.width, source, rounded_up(op.depth),
                            at("weights", p.backward[n]), add),
                  {columns(target, op.width)}, {tiles(source, op.depth)});
    }
    case ALLEGRO_ACTIVATION: {
      const auto &op = as<allegro_activation>(operation);
      const int64_t target = derivative(op.target);
      return call("activation_back", arguments("r", target, op.width, op.slope),
                  {elements(op.slope, op.width)}, {elements(target, op.width)});
    }
    case ALLEGRO_TYPES: {
      const auto &op = as<allegro_types>(operation);
      const int64_t target = derivative(op.target);
      return call("scale_by_types",
                  arguments("r", target, op.width, rounded_up(op.width), forward), {},
                  {elements(target, op.width)});
    }
    case ALLEGRO_SPLINE: {
      const auto &op = as<allegro_spline>(operation);
      const int64_t target = derivative(op.target);
      return call("spline_back",
                  arguments("r", target, op.width, rounded_up(op.width), forward),
                  {columns(target, op.width)}, {elements(derivative(m.basis), m.radial)});
    }
    case ALLEGRO_TENSOR: return tensor_backward(as<allegro_tensor>(operation), n);
    case ALLEGRO_ENERGY: {
      const auto &op = as<allegro_energy>(operation);
      const int64_t source = derivative(op.source);
      return call("energy_back",
                  arguments("r", "(NET)factor", source, rounded_up(op.width), forward, add),
                  {}, {elements(source, rounded_up(op.width))});
    }
    case ALLEGRO_CHARGE: {
      const auto &op = as<allegro_charge>(operation);
      const int64_t source = derivative(op.source);
      return call("charge_back",
                  arguments("r", "(NET)seeds[center]", source, rounded_up(op.width), forward,
                            add),
                  {}, {elements(source, rounded_up(op.width))});
    }
  }
}

// The way back of a projection of the rows' weights w onto v.
void WideText::project_back(int64_t w, int64_t v, int64_t scalars, const char *factor,
                            int64_t d_w, bool add) {
  Parts reads = {harmonics(), features(w), center(v, m.components)};
  if (scalars >= 0) reads.push_back(columns(scalars, m.channels));
  call("project_rows_back",
       arguments("r", w, at("centers", v), scalars, factor, d_w, int(add)), reads,
       {elements(d_w, m.degrees * m.channels),
        elements(derivative(m.harmonic), m.components)});
}

void WideText::tensor_backward(const allegro_tensor &op, long n) {
  const long layer = op.layer;
  const bool has_gradient = layer < m.layers - 1;  // by the environments, of later layers
  int64_t dt = gradient[0], next = gradient[1];
  const int64_t scalars = derivative(op.target);
  call("sum_rows", arguments("r", op.tensor, scalars, "(NET)1", at("centers", dt)),
       {harmonics(), features(op.tensor), columns(scalars, m.channels)},
       {own_center(dt, m.components)});
  project_back(op.tensor, chain[layer][0], scalars, "(NET)1", derivative(op.tensor),
               !m.overwrites[n]);
  for (long j = 0; j < layer; ++j) {
    const LayerPlaces &l = p.layer[j];
    const std::string w = at("weights", l.weights);
    const Touched by_chain = center(dt, m.layer[j].dim_in);
    call("contract",
         arguments(sum_arguments(l.by_environment, false), w, at("centers", dt),
                   at("centers", chain[layer][j + 1]), at("centers", d_environment[j]),
                   int(has_gradient)),
         {by_chain, center(chain[layer][j + 1], m.layer[j].dim_out)},
         {own_center(d_environment[j], m.components)});
    call("contract",
         arguments(sum_arguments(l.by_column, false), w, at("centers", dt),
                   at("centers", environment[j]), at("centers", next), 0),
         {by_chain, center(environment[j], m.components)},
         {own_center(next, m.layer[j].dim_out)});
    std::swap(dt, next);
  }
  first_column(p.layer[layer].by_environment, layer, 1, center(dt, m.layer[layer].dim_in),
               d_environment[layer], has_gradient);
  project_back(op.environment, d_environment[layer], -1, "norm", derivative(op.environment),
               !m.overwrites_environment[n]);
}

// Zeros where the way back adds. Columns that follow each other may have derivatives that
// do not.
void WideText::write_zeros() {
  for (const Range &range : columns_zeroed(m))
    for (long begin = range.begin, end; begin < range.end; begin = end) {
      for (end = begin + 1; end < range.end; ++end)
        if (derivative(end) != derivative(end - 1) + 1) break;
      call("zero", arguments("r", derivative(begin), int64_t(end - begin)), {},
           {elements(derivative(begin), end - begin)});
    }
}

// The sums of the energies and charges of the centre's rows, which the first thread adds.
void WideText::write_energy() {
  write_barrier();
  text << "    double energy = 0.0;\n";
  if (m.is_charged) text << "    double charge = 0.0;\n";
  text << "    SHARE(row, r.count) {\n"
          "      if (r.kinds[row] < 0) continue;\n"
          "      NET part = (NET)0;\n";
  if (m.is_charged) text << "      NET own = (NET)0;\n";
  for (long n = 0; n < m.operations; ++n) {
    const std::string weights = at("weights", p.forward[n]);
    if (m.operation[n].code == ALLEGRO_ENERGY) {
      const auto &op = as<allegro_energy>(m.operation[n]);
      text << "      part += dot(" << arguments("r", "row", op.source, op.width, weights)
           << ");\n";
    } else if (m.operation[n].code == ALLEGRO_CHARGE) {
      const auto &op = as<allegro_charge>(m.operation[n]);
      text << "      own += dot(" << arguments("r", "row", op.source, op.width, weights)
           << " + types[center] * " << rounded_up(op.width) << ");\n";
    }
  }
  text << "      energy += factor * part;\n"
          "      energy += wide_core(r, row, x, box, constants, center);\n";
  if (m.is_charged) text << "      charge += own;\n";
  text << "    }\n"
          "    sums[THREAD] = energy;\n";
  if (!m.is_charged) {
    text << "    sum_threads(sums, 1);\n"
            "    if (THREAD == 0) energies[center] += sums[0];\n";
    return;
  }
  text << "    sums[WIDE_THREADS + THREAD] = charge;\n"
          "    sum_threads(sums, 2);\n"
          "    if (THREAD == 0 && wants_energies) energies[center] += sums[0];\n"
          "    if (THREAD == 0 && wants_charges) charges[center] += sums[WIDE_THREADS];\n";
}

// SPDX-License-Identifier: MIT
// The steps of the kernel `network`: each event of a program's values on the way there and,
// in reverse, on the way back. Included after packed_weights.h and packed_phases.h.

// What is chosen so that a group fits the memory and the registers.
struct Choice {
  int64_t rows, slots;
  bool has_fragments;  // products by tensor cores
  // What tensor products read again on the way back is kept, or computed again.
  bool keeps_environments, keeps_tensors;
  int64_t registers;  // of 32 bits, that slopes of activations take
};

// Weights at an address that the compiler does not know: it would keep those that are read
// a second time in registers until then.
constexpr const char *HIDDEN_WEIGHTS = "    HIDE(zero);\n    own_weights = weights + zero;\n";

class Network {
 public:
  Phases phases;
  PackedWeights weights;

  Network(const Model &m, const Places &places, const Values &values, const Choice &choice)
      : weights(m, places, choice.has_fragments), m(m), places(places), values(values),
        choice(choice), own(values.all.size()) {
    choose_registers();
    make_buffers();
    set_up();
    for (const Event &event : values.events) forward(event);
    write_energies();
    phases.start_back();
    text << HIDDEN_WEIGHTS;
    if (m.points) text << "    NET by_place = (NET)0;\n";
    for (size_t n = values.events.size(); n-- > 0;) backward(values.events[n]);
    finish();
  }

  // Lines before the loop over groups.
  std::string pointers() const {
    std::string lines = "  Group p;\n";
    for (const int64_t i : info) {
      const std::string &name = phases.buffers[i].name;
      lines += "  p." + name.substr(4) + " = " + name + ";\n";
    }
    return lines;
  }

 private:
  typedef std::vector<int64_t> List;

  // Where a value and the derivative by it are.
  struct Own {
    int64_t value = -1, gradient = -1;
    bool has_tile = false;  // of the derivative
    bool in_registers = false;    // slopes of activations
    std::vector<int64_t> slopes;  // their buffers, or -1
    int64_t remade = 0;
  };

  const Model &m;
  const Places &places;
  const Values &values;
  const Choice &choice;
  std::vector<Own> own;
  Text text;  // of the next phase
  List info, environments, d_environments;
  std::vector<List> chains;
  int64_t harmonic, d_harmonic, slopes, d_basis = -1, energy, by_table, charge, seed;
  bool has_d_harmonic = false;

  // ------------------------------------------------------------------------ small helpers
  void end_phase(const List &reads, const List &writes) {
    phases.add(reads, writes, text.all);
    text.all.clear();
  }

  const std::string &name(int64_t buffer) const { return phases.buffers[buffer].name; }
  static std::string number(int64_t n) { return std::to_string(n); }
  int64_t net_bytes() const { return m.is_double ? 8 : 4; }
  int64_t net(const std::string &name, int64_t count) {
    return phases.buffer(name, "NET", count * net_bytes());
  }
  // So many numbers of each row, which may be spilled.
  int64_t row_net(const std::string &name, int64_t count) {
    return phases.buffer(name, "NET", choice.rows * count * net_bytes(), true);
  }
  // Numbers from one row to the next: an odd multiple of 4.
  int64_t harmonic_ld() const { return 4 * (rounded_up(m.components, 4) / 4 | 1); }
  static std::string value_tile(int64_t i) { return "t" + number(i); }
  static std::string gradient_tile(int64_t i) { return "d" + number(i); }
  std::string slope_tile(int64_t i, size_t k) const {
    return "s" + number(i) + "_" + number(k);
  }
  static std::string at(const std::string &name, int64_t place) {
    return place ? name + " + " + number(place) : name;
  }

  void declare_tile(const std::string &tile, int64_t padded) {
    const std::string count = number(padded / 4);
    text << "    NET " << tile << "[" << count << "];\n    clear_tile(" << count << ", "
         << tile << ");\n";
  }

  // A part of a product: where its matrix and its tile are.
  struct Part {
    int64_t v, start;
    std::string tile;
  };

  std::vector<Part> parts(int64_t start, int64_t depth, int64_t padded,
                          const std::string &tile) const {
    std::vector<Part> result;
    for (const Chunk &chunk : chunks_of(padded))
      result.push_back({chunk.v, start + depth * chunk.column, at(tile, chunk.element)});
    return result;
  }

  // Products of the same rows, two at a time where their tiles have the same rows and
  // there are registers for both.
  void multiply(int64_t source, int64_t ld, int64_t depth, const std::vector<Part> &all) {
    for (size_t n = 0; n < all.size();) {
      const Part &one = all[n++];
      const bool is_pair =
          choice.rows < 128 && n < all.size() && one.v > 1 && all[n].v > 1;
      const Part &other = is_pair ? all[n++] : one;
      phases.use(source, 2);  // warps beside each other read the same rows
      text << "    multiply(" << name(source) << ", " << ld << ", " << depth << ", own_weights + "
           << one.start << ", " << one.v << ", " << one.tile << ", own_weights + " << other.start
           << ", " << (is_pair ? other.v : 0) << ", " << other.tile << ");\n";
    }
  }

  // The function of each chunk of a tile.
  template <typename F> void each_chunk(int64_t padded, F f) {
    for (const Chunk &chunk : chunks_of(padded)) f(chunk);
  }

  void store(const std::string &tile, int64_t padded, int64_t buffer, int64_t ld,
             const List &reads = {}) {
    each_chunk(padded, [&](const Chunk &c) {
      text << "    store_tile(" << at(tile, c.element) << ", " << c.v << ", "
           << at(name(buffer), c.column) << ", " << ld << ");\n";
    });
    end_phase(reads, {buffer});
  }

  // ------------------------------------------------------------------ rows and centres
  // Slopes stay in the registers of the thread that makes them: the last ones, which are
  // needed again soonest, as long as there are some.
  void choose_registers() {
    int64_t left = choice.registers;
    for (size_t n = values.events.size(); n-- > 0;) {
      const Event &event = values.events[n];
      if (event.kind != Event::MAKE) continue;
      const Value &v = values.all[event.value];
      for (const Pointwise &function : v.pointwise)
        if (m.operation[function.operation].code == ALLEGRO_ACTIVATION)
          left -= v.padded() / 4 * net_bytes() / 4;
      own[event.value].in_registers = left >= 0;
    }
  }

  void make_buffers() {
    const int64_t rows = choice.rows, slots = choice.slots;
    const auto add = [&](const char *name, const char *type, int64_t count, int64_t bytes) {
      info.push_back(phases.buffer(std::string("own_") + name, type, count * bytes));
    };
    add("first", "int", slots + 1, 4), add("center", "int", slots, 4);
    add("flags", "int", 2, 4), add("norm", "NET", slots, net_bytes());
    for (const char *name : {"slot", "kind", "neighbor", "active"}) add(name, "int", rows, 4);
    add("factor", "NET", rows, net_bytes());
    if (m.points) {
      add("exact", "int", rows, 4), add("table", "int", rows, 4);
      add("t", "NET", rows, net_bytes());
    }
    for (const char *name : {"x", "y", "z", "r", "core", "energy"}) add(name, "double", rows, 8);
    energy = info.back();
    if (m.is_charged) {
      charge = phases.buffer("charge", "double", rows * 8);
      seed = phases.buffer("seed", "NET", rows * net_bytes());
    }
    harmonic = row_net("harmonic", harmonic_ld());
    d_harmonic = row_net("d_harmonic", harmonic_ld());
    slopes = row_net("slopes", slope_ld());
    by_table = row_net("by_table", 4);
    for (int64_t n = 0; n < m.layers; ++n) {
      environments.push_back(net("environment" + number(n), center_size(m.components)));
      d_environments.push_back(-1);
    }
    chains.resize(m.layers);
    own[values.basis].value = row_net("basis", values.all[values.basis].ld());
  }

  int64_t slope_ld() const { return m.radial | 1; }
  int64_t center_size(int64_t components) const {
    return choice.slots * components * m.channels;
  }

  void set_up() {
    text << "    place_centers(&p, groups + g * SLOTS, degrees, types, constants);\n";
    end_phase({}, info);
    text << "    fill_rows(&p, x, box, types, neighbors, images, rows, capacity, constants, "
         << "harmonic, " << harmonic_ld() << ", basis, " << values.all[values.basis].ld()
         << ", slopes, " << slope_ld() << ");\n";
    List written = info;
    written.insert(written.end(), {harmonic, own[values.basis].value, slopes});
    end_phase(info, written);
    if (!m.is_charged) return;
    text << "    fill_charges(&p, seeds, wants_forces, charge, seed);\n";
    end_phase(info, {charge, seed});
  }

  // --------------------------------------------------------------------- the way there
  void forward(const Event &event) {
    switch (event.kind) {
      case Event::MAKE: return make(event.value);
      case Event::TENSOR: return tensor(event);
      case Event::ENERGY: {
        const Value &v = values.all[event.value];
        const int64_t start = energy_weights(event);
        text << "    add_energies(&p, " << name(own[event.value].value) << ", " << v.ld()
             << ", " << v.width << ", own_weights + " << start << ");\n";
        return end_phase({own[event.value].value}, {energy});
      }
      case Event::CHARGE: {
        const Value &v = values.all[event.value];
        const int64_t start = charge_weights(event);
        text << "    add_charges(&p, " << name(own[event.value].value) << ", " << v.ld() << ", "
             << v.width << ", own_weights + " << start << ", " << v.padded() << ", charge);\n";
        end_phase({own[event.value].value}, {charge});
      }
    }
  }

  int64_t energy_weights(const Event &event) {
    const Value &v = values.all[event.value];
    return weights.rows(PackedMatrix::ENERGY, event.operation, event.column, 1, v);
  }

  int64_t charge_weights(const Event &event) {
    const Value &v = values.all[event.value];
    return weights.rows(PackedMatrix::CHARGE, event.operation, event.column, m.types, v);
  }

  // Products, and the table's values for the rows in its range.
  List sum_terms(int64_t i, const std::string &tile) {
    const Value &v = values.all[i];
    List reads;
    const auto add = [&](bool is_exact_only) {
      for (const Term &term : v.terms) {
        if ((v.is_table && term.is_stage) != is_exact_only) continue;
        const int64_t source = own[term.source].value, depth = weights.depth(term.depth);
        const int64_t start = weights.forward(term, v);
        multiply(source, values.all[term.source].ld(), depth,
                 parts(start, depth, v.padded(), tile));
        reads.push_back(source);
      }
    };
    if (v.is_table) {
      text << "    if (p.flags[HAS_EXACT]) {\n";
      add(true);
      text << "    }\n";
      each_chunk(v.padded(), [&](const Chunk &c) {
        text << "    look_up(&p, own_weights, " << v.column - m.first + c.column << ", " << c.v
             << ", " << at(tile, c.element) << ");\n";
      });
    }
    add(false);
    return reads;
  }

  void make(int64_t i) {
    const Value &v = values.all[i];
    const std::string tile = value_tile(i);
    declare_tile(tile, v.padded());
    const bool is_exact_only = m.points && v.column < m.first;
    if (is_exact_only) text << "    if (p.flags[HAS_EXACT]) {\n";
    List reads = sum_terms(i, tile), writes;
    if (v.spline >= 0) {
      each_chunk(v.padded(), [&](const Chunk &c) {
        text << "    multiply_chosen(&p, basis, " << values.all[values.basis].ld()
             << ", own_weights + " << spline_weights(v) + c.column << ", " << v.padded() << ", "
             << c.v << ", " << at(tile, c.element) << ");\n";
      });
      reads.push_back(own[values.basis].value);
    }
    if (is_exact_only) text << "    }\n";
    for (size_t k = 0; k < v.pointwise.size(); ++k) apply(i, k, tile, &writes);
    end_phase(reads, writes);
    own[i].value = row_net("value" + number(i), v.ld());
    store(tile, v.padded(), own[i].value, v.ld());
  }

  int64_t spline_weights(const Value &v) {
    return weights.rows(PackedMatrix::SPLINE, v.spline, v.spline_column,
                        m.types * m.types * m.radial, v);
  }

  static const char *function(int64_t kind) {
    return kind == ALLEGRO_SILU ? "silu" : kind == ALLEGRO_MISH ? "mish" : "gelu";
  }

  // A function of single numbers of a tile.
  void apply(int64_t i, size_t k, const std::string &tile, List *writes) {
    const Value &v = values.all[i];
    const allegro_operation &operation = m.operation[v.pointwise[k].operation];
    own[i].slopes.push_back(-1);
    if (operation.code == ALLEGRO_TYPES) return scale(v, k, tile);
    const int64_t count = v.padded() / 4;
    const std::string slope = slope_tile(i, k);
    text << "    NET " << slope << "[" << count << "];\n    UNROLL\n    for (int e = 0; e < "
         << count << "; e++) " << slope << "[e] = "
         << function(as<allegro_activation>(operation).kind) << "(&" << tile << "[e]);\n";
    if (own[i].in_registers) return;
    const int64_t buffer = row_net("kept_" + slope, v.padded());
    text << "    UNROLL\n    for (int e = 0; e < " << count << "; e++) " << name(buffer)
         << "[e * NETWORK_THREADS + THREAD] = " << slope << "[e];\n";
    own[i].slopes[k] = buffer;
    writes->push_back(buffer);
  }

  void scale(const Value &v, size_t k, const std::string &tile) {
    const Pointwise &function = v.pointwise[k];
    const int64_t start = weights.rows(PackedMatrix::TYPES, function.operation,
                                       function.column, m.types * m.types, v);
    each_chunk(v.padded(), [&](const Chunk &c) {
      text << "    scale_tile(&p, own_weights + " << start + c.column << ", " << v.padded() << ", "
           << c.v << ", " << at(tile, c.element) << ");\n";
    });
  }

  void write_energies() {
    if (m.is_charged) text << "    if (wants_energies)\n  ";
    text << "    write_energies(&p, energies);\n";
    end_phase({energy}, {});
    if (!m.is_charged) return;
    text << "    if (wants_charges) write_charges(&p, charge, charges);\n";
    end_phase({charge}, {});
  }

  // ------------------------------------------------------- tensor products, packed_tensor.h
  void tensor(const Event &event);
  void tensor_back(const Event &event);
  void contract(const Order &order, bool first_column, int64_t p, int64_t p_size, int64_t q,
                int64_t q_size, int64_t out, bool adds, bool is_scaled);
  void make_chain(int64_t layer);
  int64_t again(int64_t i, bool is_kept);
  void chain_back(int64_t layer, int64_t d);
  void environment_back(int64_t i, int64_t layer);

  // ----------------------------------------------------------- the way back, packed_back.h
  void backward(const Event &event);
  std::string need_tile(int64_t i);
  int64_t gradient(int64_t i, bool *adds);
  int64_t complete_gradient(int64_t i);
  void apply_back(int64_t i, size_t k, const std::string &tile, List *reads);
  void make_back(int64_t i);
  void multiply_back(int64_t i, int64_t from, bool is_exact);
  void finish();
};

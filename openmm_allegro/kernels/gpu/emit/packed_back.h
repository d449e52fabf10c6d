// SPDX-License-Identifier: MIT
// The way back of the kernel `network`, from the energy to forces. Included after
// packed_network.h.

inline void Network::backward(const Event &event) {
  switch (event.kind) {
    case Event::MAKE: return make_back(event.value);
    case Event::TENSOR: return tensor_back(event);
    case Event::ENERGY: {
      const std::string tile = need_tile(event.value);
      const int64_t start = energy_weights(event);
      each_chunk(values.all[event.value].padded(), [&](const Chunk &c) {
        text << "    start_back(&p, own_weights + " << start + c.column << ", " << c.v << ", "
             << at(tile, c.element) << ");\n";
      });
      return end_phase({}, {});
    }
    case Event::CHARGE: {
      const std::string tile = need_tile(event.value);
      const int64_t start = charge_weights(event), padded = values.all[event.value].padded();
      each_chunk(padded, [&](const Chunk &c) {
        text << "    start_charges_back(&p, own_weights + " << start + c.column << ", " << padded
             << ", seed, " << c.v << ", " << at(tile, c.element) << ");\n";
      });
      end_phase({seed}, {});
    }
  }
}

// The tile in which a derivative is added up.
inline std::string Network::need_tile(int64_t i) {
  const std::string tile = gradient_tile(i);
  if (!own[i].has_tile) declare_tile(tile, values.all[i].padded());
  own[i].has_tile = true;
  return tile;
}

// The buffer of a derivative that is added up in memory; `adds` if it has a part already.
inline int64_t Network::gradient(int64_t i, bool *adds) {
  *adds = own[i].gradient >= 0;
  if (!*adds) own[i].gradient = row_net("gradient" + number(i), values.all[i].ld());
  return own[i].gradient;
}

// The buffer of a derivative to which nothing more is added, functions of single numbers
// included.
inline int64_t Network::complete_gradient(int64_t i) {
  const Value &v = values.all[i];
  const bool has_buffer = own[i].gradient >= 0;
  if (!own[i].has_tile && has_buffer && v.pointwise.empty()) return own[i].gradient;
  const std::string tile = need_tile(i);
  List reads;
  if (has_buffer) {
    each_chunk(v.padded(), [&](const Chunk &c) {
      text << "    add_stored(" << at(tile, c.element) << ", " << c.v << ", "
           << at(name(own[i].gradient), c.column) << ", " << v.ld() << ");\n";
    });
    reads.push_back(own[i].gradient);
  }
  for (size_t k = v.pointwise.size(); k-- > 0;) apply_back(i, k, tile, &reads);
  end_phase(reads, {});
  own[i].gradient = row_net("d_value" + number(i), v.ld());
  store(tile, v.padded(), own[i].gradient, v.ld());
  return own[i].gradient;
}

inline void Network::apply_back(int64_t i, size_t k, const std::string &tile, List *reads) {
  const Value &v = values.all[i];
  if (m.operation[v.pointwise[k].operation].code == ALLEGRO_TYPES) return scale(v, k, tile);
  const int64_t buffer = own[i].slopes[k];
  text << "    UNROLL\n    for (int e = 0; e < " << v.padded() / 4 << "; e++) " << tile
       << "[e] *= ";
  if (buffer < 0) {
    text << slope_tile(i, k) << "[e];\n";
  } else {
    text << name(buffer) << "[e * NETWORK_THREADS + THREAD];\n";
    reads->push_back(buffer);
  }
}

inline void Network::make_back(int64_t i) {
  const Value &v = values.all[i];
  const int64_t from = complete_gradient(i);
  if (v.is_table) {
    text << "    by_place += look_up_back(&p, own_weights, " << v.column - m.first << ", "
         << v.width << ", " << name(from) << ", " << v.ld() << ");\n";
    end_phase({from}, {});
  }
  multiply_back(i, from, true), multiply_back(i, from, false);
  if (v.spline >= 0) {
    bool adds;
    d_basis = gradient(values.basis, &adds);
    text << "    multiply_chosen_back(&p, " << name(from) << ", " << v.ld() << ", own_weights + "
         << spline_weights(v) << ", " << v.padded() << ", " << name(d_basis) << ", "
         << values.all[values.basis].ld() << ", " << int(adds) << ");\n";
    end_phase({from, d_basis}, {d_basis});
  }
}

// Add to the derivatives by what a value's products read. `is_exact` for products that are
// computed where a row is out of the table's range.
inline void Network::multiply_back(int64_t i, int64_t from, bool is_exact) {
  const Value &v = values.all[i];
  const int64_t depth = weights.depth(v.width);
  std::vector<Part> all;
  for (const Term &term : v.terms) {
    if ((term.is_stage && m.points) != is_exact) continue;
    const Value &source = values.all[term.source];
    const std::string tile = need_tile(term.source);
    for (const Part &part :
         parts(weights.backward(term, source, v), depth, source.padded(), tile))
      all.push_back(part);
  }
  if (all.empty()) return;
  if (is_exact) text << "    if (p.flags[HAS_EXACT]) {\n";
  multiply(from, v.ld(), depth, all);
  if (is_exact) text << "    }\n";
  end_phase({from}, {});
}

inline void Network::finish() {
  const int64_t basis = complete_gradient(values.basis);
  if (!has_d_harmonic) {
    text << "    OWN_PART(i, ROWS * " << harmonic_ld() << ") d_harmonic[i] = (NET)0;\n";
    end_phase({}, {d_harmonic});
  }
  List reads = info;
  if (m.points) {
    text << "    by_table[THREAD] = by_place;\n";
    end_phase({}, {by_table});
    reads.push_back(by_table);
  }
  const int64_t force = phases.buffer("force", "mm_ulong", 3 * choice.rows * 8);
  const int64_t strains = phases.buffer("row_strain", "mm_ulong", 9 * choice.rows * 8);
  text << "    fill_forces(&p, d_harmonic, " << harmonic_ld() << ", " << name(basis)
       << ", slopes, " << values.all[values.basis].ld() << ", " << slope_ld() << ", "
       << (m.points ? "by_table" : "slopes")
       << ", constants, forces, atoms, force, row_strain);\n";
  reads.insert(reads.end(), {d_harmonic, basis, slopes});
  end_phase(reads, {force, strains});
  text << "    add_row_forces(&p, force, row_strain, forces, atoms, strain);\n";
  reads = info;
  reads.insert(reads.end(), {force, strains});
  end_phase(reads, {});
}

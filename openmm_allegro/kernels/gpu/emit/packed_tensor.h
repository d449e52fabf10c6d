// SPDX-License-Identifier: MIT
// Tensor products of the kernel `network`, on the way there and back. Included after
// packed_back.h.

// The environments of a layer's centres, the chain of their operators, and the scalars.
inline void Network::tensor(const Event &event) {
  const auto &op = as<allegro_tensor>(m.operation[event.operation]);
  const int64_t weight = values.at(op.tensor), environment = values.at(op.environment);
  const Value &v = values.all[weight], &e = values.all[environment];
  const std::string y = "harmonic, " + number(harmonic_ld());
  text << "    sum_group(&p, " << y << ", " << name(own[environment].value) << ", " << e.ld()
       << ", harmonic, 0, p.norm, 0, " << name(environments[op.layer]) << ");\n";
  end_phase({harmonic, own[environment].value}, {environments[op.layer]});
  make_chain(op.layer);
  const Value &target = values.all[event.value];
  own[event.value].value = row_net("value" + number(event.value), target.ld());
  text << "    fill_scalars(&p, " << y << ", " << name(own[weight].value) << ", " << v.ld()
       << ", " << name(chains[op.layer][0]) << ", " << name(own[event.value].value) << ", "
       << target.ld() << ");\n";
  end_phase({harmonic, own[weight].value, chains[op.layer][0]}, {own[event.value].value});
}

// The same on the way back, to the derivatives by what the tensor product reads.
inline void Network::tensor_back(const Event &event) {
  const auto &op = as<allegro_tensor>(m.operation[event.operation]);
  const int64_t layer = op.layer, weight = values.at(op.tensor), chain = chains[layer][0];
  const int64_t target_gradient = complete_gradient(event.value);
  const int64_t kept = again(weight, choice.keeps_tensors);
  const Value &v = values.all[weight], &target = values.all[event.value];
  bool adds;
  const int64_t d_weight = gradient(weight, &adds);
  const std::string y = "harmonic, " + number(harmonic_ld());
  const std::string g = name(target_gradient) + ", " + number(target.ld());
  text << "    spread(&p, " << y << ", " << name(chain) << ", " << g << ", 1, "
       << name(d_weight) << ", " << v.ld() << ", " << int(adds) << ");\n";
  text << "    meet(&p, " << name(kept) << ", " << v.ld() << ", " << name(chain) << ", " << g
       << ", 1, d_harmonic, " << harmonic_ld() << ", " << int(has_d_harmonic) << ");\n";
  has_d_harmonic = true;
  const int64_t d = net("d_chain" + number(layer) + "_0", center_size(m.components));
  text << "    sum_group(&p, " << y << ", " << name(kept) << ", " << v.ld() << ", " << g
       << ", p.norm, 1, " << name(d) << ");\n";
  end_phase({harmonic, chain, target_gradient, kept, d_weight, d_harmonic},
            {d_weight, d_harmonic, d});
  chain_back(layer, d);
  environment_back(values.at(op.environment), layer);
}

// out = the sum over the terms of an order; see `contract_group` of device/centers.cc.
inline void Network::contract(const Order &order, bool first_column, int64_t p, int64_t p_size,
                              int64_t q, int64_t q_size, int64_t out, bool adds,
                              bool is_scaled) {
  const PackedTerms &terms = weights.terms(order);
  text << "    contract_group(&p, integers + " << order.starts << ", integers + "
       << (first_column ? order.firsts : order.starts + 1) << ", integers + " << terms.terms
       << ", own_weights + " << terms.couplings << ", " << order.outputs << ", " << name(p)
       << ", " << p_size << ", " << name(q) << ", " << q_size << ", " << name(out) << ", "
       << int(adds) << ", " << int(is_scaled) << ");\n";
}

// v = M0 M1 ... m of a layer, each product of the chain in a buffer.
inline void Network::make_chain(int64_t layer) {
  List &chain = chains[layer];
  chain.assign(layer + 1, -1);
  for (int64_t j = layer; j >= 0; --j) {
    const int64_t gamma = environments[j];
    const Order &order = places.layer[j].by_row;
    chain[j] = net("chain" + number(layer) + "_" + number(j), center_size(m.layer[j].dim_in));
    if (j == layer) {
      contract(order, true, gamma, 0, gamma, m.components, chain[j], false, false);
      end_phase({gamma}, {chain[j]});
    } else {
      contract(order, false, chain[j + 1], m.layer[j].dim_out, gamma, m.components, chain[j],
               false, false);
      end_phase({gamma, chain[j + 1]}, {chain[j]});
    }
  }
}

// What a tensor product reads, computed again if it was not kept.
inline int64_t Network::again(int64_t i, bool is_kept) {
  if (is_kept || !values.all[i].is_plain()) return own[i].value;
  const Value &v = values.all[i];
  const std::string suffix = number(i) + "_" + number(++own[i].remade);
  text << HIDDEN_WEIGHTS;
  declare_tile("again" + suffix, v.padded());
  const List reads = sum_terms(i, "again" + suffix);
  end_phase(reads, {});
  const int64_t buffer = row_net("value" + suffix, v.ld());
  store("again" + suffix, v.padded(), buffer, v.ld());
  return buffer;
}

// From the derivative by a layer's v to those by the environments. Those of the layer itself
// are then complete.
inline void Network::chain_back(int64_t layer, int64_t d) {
  for (int64_t j = 0; j <= layer; ++j) {
    const Layer &l = m.layer[j];
    const LayerPlaces &at = places.layer[j];
    const bool is_last = j == layer, adds = d_environments[j] >= 0;
    if (!adds) d_environments[j] = net("d_environment" + number(j), center_size(m.components));
    const int64_t next = is_last ? d : chains[layer][j + 1];
    contract(at.by_environment, is_last, d, l.dim_in, next, is_last ? 0 : l.dim_out,
             d_environments[j], adds, is_last);
    List reads = {d, next, d_environments[j]}, writes = {d_environments[j]};
    if (!is_last) {
      d = net("d_chain" + number(layer) + "_" + number(j + 1), center_size(l.dim_out));
      contract(at.by_column, false, reads[0], l.dim_in, environments[j], m.components, d, false,
               false);
      reads.push_back(environments[j]), writes.push_back(d);
    }
    end_phase(reads, writes);
  }
}

inline void Network::environment_back(int64_t i, int64_t layer) {
  const int64_t kept = again(i, choice.keeps_environments);
  const Value &v = values.all[i];
  const std::string d = name(d_environments[layer]) + ", harmonic, 0, 0, ";
  text << "    meet(&p, " << name(kept) << ", " << v.ld() << ", " << d << "d_harmonic, "
       << harmonic_ld() << ", 1);\n";
  end_phase({kept, d_environments[layer], d_harmonic}, {d_harmonic});
  bool adds;
  const int64_t buffer = gradient(i, &adds);
  text << "    spread(&p, harmonic, " << harmonic_ld() << ", " << d << name(buffer) << ", "
       << v.ld() << ", " << int(adds) << ");\n";
  end_phase({harmonic, d_environments[layer], buffer}, {buffer});
}

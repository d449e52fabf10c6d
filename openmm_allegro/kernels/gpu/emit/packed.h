// SPDX-License-Identifier: MIT
// The kernel `network`: groups of whole centres, whose rows are in work-group memory.
// Included after wide.h and packed_tensor.h.

// The first choice of a program that fits the options.
struct PackedPlan {
  Choice choice;
  int64_t memory, spilled, traffic;  // bytes of a group
  std::string text;  // of the loop and of what precedes it
  PackedWeights weights;
};

static std::string network_text(const Network &network) {
  return network.phases.declarations() + network.pointers() +
         "  for (int g = GROUP; g < counters[" + std::to_string(ALLEGRO_GPU_GROUPS) +
         "]; g += GROUPS) {\n"
         "    int zero = 0;\n    HIDE(zero);\n"
         "    GLOBAL const NET *RESTRICT own_weights = weights + zero;\n" +
         network.phases.all() + "  }\n}\n";
}

static PackedPlan made_of(const Network &network, const Choice &choice, int64_t memory) {
  return {choice, memory, network.phases.spilled(), network.phases.traffic(),
          network_text(network), network.weights};
}

// Registers of 32 bits for slopes of activations, beside the tiles in which derivatives of
// several parts are added up.
static int64_t registers_of_slopes(const Model &m, const Values &values, int64_t rows) {
  if (rows > 64) return 0;  // its threads have 168 or 128 of them, not 255
  constexpr int64_t together = 88;
  std::vector<int> parts(values.all.size());
  for (const Event &event : values.events)
    if (event.kind == Event::MAKE)
      for (const Term &term : values.all[event.value].terms) ++parts[term.source];
  int64_t sums = 0;
  for (size_t i = 0; i < parts.size(); ++i)
    if (parts[i] > 1) sums += values.all[i].padded() / 4 * (m.is_double ? 2 : 1);
  return std::max(together - sums, int64_t(0));
}

// What may fit, from the fastest on: fewer things are computed again, more centres share a
// group.
static std::vector<Choice> choices(const allegro_gpu_options &options, int64_t registers) {
  const bool has_fragments = options.products == ALLEGRO_GPU_TF32X3;
  std::vector<Choice> all;
  const auto add = [&](int64_t slots, int recomputed) {
    all.push_back({options.rows, slots, has_fragments, recomputed < 1, recomputed < 2,
                   registers});
  };
  const int64_t most = std::min<int64_t>(options.rows, 64) / 8;
  add(most, 0), add(most * 3 / 4, 0);
  for (int64_t slots = most; slots; slots /= 2)
    for (const int recomputed : {0, 1, 2}) add(slots, recomputed);
  return all;
}

// Refused where no choice fits.
static PackedPlan plan_packed(const Model &m, const Places &places,
                              const allegro_gpu_options &options) {
  const auto sizes = {16, 32, 64, 96, 128};
  if (std::find(sizes.begin(), sizes.end(), options.rows) == sizes.end())
    throw Unfit{"expected groups of 16, 32, 64, 96 or 128 rows, found " +
                std::to_string(options.rows)};
  if (m.is_double && options.products != ALLEGRO_GPU_FMA)
    throw Unfit{"expected products of float32 for a program in float64, found " +
                std::to_string(options.products)};
  constexpr int64_t largest = 1 << 15;  // see PackedTerms
  if (m.widest * m.channels >= largest)
    throw Unfit{"expected at most " + std::to_string(largest / m.channels - 1) +
                " components of the tensor track, found " + std::to_string(m.widest)};
  const Values values(m);
  int64_t least = INT64_MAX;
  const std::vector<Choice> all = choices(options, registers_of_slopes(m, values, options.rows));
  for (const Choice &choice : all) {
    Network network(m, places, values, choice);
    const int64_t memory = network.phases.place();
    if (memory <= options.memory) return made_of(network, choice, memory);
    least = std::min(least, memory);
  }
  for (const Choice &choice : all) {
    if (!options.one_space || !choice.keeps_environments) continue;
    Network network(m, places, values, choice);
    const int64_t memory = network.phases.place_within(options.memory);
    if (memory <= options.memory) return made_of(network, choice, memory);
    least = std::min(least, memory);
  }
  throw Unfit{"expected " + std::to_string(least) + " bytes of work-group memory for groups of " +
              std::to_string(options.rows) + " rows, found " + std::to_string(options.memory)};
}

static void write_packed(const Model &m, const PackedPlan &plan, allegro_gpu_sizes *sizes,
                         Text &text) {
  const Choice &choice = plan.choice;
  sizes->threads = 4 * choice.rows;
  sizes->slots = choice.slots;
  sizes->memory = plan.memory;
  sizes->spilled = plan.spilled;
  sizes->spilled_traffic = plan.traffic;
  text.define("ROWS", choice.rows);
  text.define("SLOTS", choice.slots);
  text.define("TF32X3", int(choice.has_fragments));
  text.define("NETWORK_MEMORY", plan.memory / 8);
  std::string first = "0", count = "0", degree = std::to_string(m.degrees - 1);
  int64_t largest = 0;
  for (long l = m.degrees; l-- > 0;) {
    const int64_t size = m.first_component[l + 1] - m.first_component[l];
    const std::string test = "(l) == " + std::to_string(l) + " ? ";
    first = test + std::to_string(m.first_component[l]) + " : " + first;
    count = test + std::to_string(size) + " : " + count;
    if (l)
      degree = "(a) < " + std::to_string(m.first_component[l]) + " ? " +
               std::to_string(l - 1) + " : " + degree;
    largest = std::max(largest, size);
  }
  text.define("FIRST_COMPONENT(l)", "(" + first + ")");
  text.define("COMPONENTS_OF(l)", "(" + count + ")");
  text.define("DEGREE_OF(a)", "(" + degree + ")");
  text.define("LARGEST_DEGREE", largest);
  text << PRODUCTS << NETWORK << CENTERS;
  write_arguments(m, "network", "groups", "NETWORK_THREADS", text);
  text << "  WORK_MEMORY(double, memory, NETWORK_MEMORY);\n" << plan.text;
}

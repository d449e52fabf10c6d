// SPDX-License-Identifier: MIT
// The arrays that the kernels read, made of a program: weights in the precision of the
// network, constants in double, int32 indices. Included after ../../cpu/model.h.
//
// Weights. Each matrix is row-major, with rows and columns padded by zeros to multiples of
// PADDING; so are the vectors of energies and charges. Each part starts at a multiple of PADDING
// numbers, so at a multiple of 16 bytes.
//   LINEAR   forward [depth, width], backward [width, depth], both as (row, column)
//   TYPES    factors [types², width], rows not padded
//   SPLINE   matrices [types², radial, width], rows not padded
//   ENERGY   vector [width]
//   CHARGE   vectors [types, width]
//   layers   couplings [entries, channels]
//   table    cubics [types², points, 4, first_width]; it is last
//
// Constants, by the names that the source gives to their places:
//   NORM, FACTORS, SHIFTS [types], CUTOFFS [types²], ROOTS [radial],
//   CORE_STRENGTHS, CORE_RATES [types², terms]: eV Å and 1 / Å of an ordered pair's core
//
// Integers, for each layer: the entries in three orders, by row, by column and by
// environment of the operator. Of an order there are
//   starts [outputs + 1]   where the terms of each output start
//   firsts [outputs]       where those of column 0 end, which come first
//   terms  [entries, 3]    entry, and the two other indices in the order row, column,
//                          environment

constexpr int64_t PADDING = 8;

static inline int64_t rounded_up(int64_t number, int64_t step = PADDING) {
  return (number + step - 1) / step * step;
}

// Places of an order's arrays in the integers.
struct Order {
  int64_t outputs, starts, firsts, terms;
};

struct LayerPlaces {
  int64_t weights;
  Order by_row, by_column, by_environment;
};

// Where everything is, and the sizes of the arrays.
struct Places {
  std::vector<int64_t> forward, backward;  // of each operation; forward also of other weights
  std::vector<LayerPlaces> layer;
  int64_t table, weights;
  int64_t norm, factors, shifts, cutoffs, roots, core_strengths, core_rates, inner, constants;
  int64_t integers;
};

// Numbers of an operation's weights, for a matrix those of the forward one.
static int64_t weights_of(const Model &m, const allegro_operation &operation) {
  switch (operation.code) {
    case ALLEGRO_LINEAR: {
      const auto &op = as<allegro_linear>(operation);
      return rounded_up(op.depth) * rounded_up(op.width);
    }
    case ALLEGRO_TYPES:
      return m.types * m.types * rounded_up(as<allegro_types>(operation).width);
    case ALLEGRO_SPLINE:
      return m.types * m.types * m.radial * rounded_up(as<allegro_spline>(operation).width);
    case ALLEGRO_ENERGY: return rounded_up(as<allegro_energy>(operation).width);
    case ALLEGRO_CHARGE: return m.types * rounded_up(as<allegro_charge>(operation).width);
    default: return 0;
  }
}

static Places place_arrays(const Model &m) {
  Places p = {};
  const auto take = [](int64_t *total, int64_t size) {
    const int64_t start = *total;
    *total += size;
    return start;
  };
  for (long n = 0; n < m.operations; ++n) {
    const int64_t size = weights_of(m, m.operation[n]);
    p.forward.push_back(take(&p.weights, size));
    const bool has_backward = m.operation[n].code == ALLEGRO_LINEAR;
    p.backward.push_back(take(&p.weights, has_backward ? size : 0));
  }
  const auto order = [&](int64_t outputs, int64_t entries) {
    const int64_t starts = take(&p.integers, outputs + 1);
    const int64_t firsts = take(&p.integers, outputs);
    return Order{outputs, starts, firsts, take(&p.integers, 3 * entries)};
  };
  for (const Layer &l : m.layer) {
    LayerPlaces places = {};
    places.weights = take(&p.weights, rounded_up(l.entries * m.channels));
    places.by_row = order(l.dim_in, l.entries);
    places.by_column = order(l.dim_out, l.entries);
    places.by_environment = order(m.components, l.entries);
    p.layer.push_back(places);
  }
  const int64_t pairs = m.types * m.types;
  p.table = take(&p.weights, pairs * m.points * 4 * m.first_width);
  p.norm = take(&p.constants, m.types);
  p.factors = take(&p.constants, m.types);
  p.shifts = take(&p.constants, m.types);
  p.cutoffs = take(&p.constants, pairs);
  p.roots = take(&p.constants, m.radial);
  p.core_strengths = take(&p.constants, pairs * m.core);
  p.core_rates = take(&p.constants, pairs * m.core);
  p.inner = take(&p.constants, m.has_inner ? pairs : 0);
  return p;
}

// From panels [width / panel, depth, panel] to rows of `columns`.
template <typename T>
static void unpack_matrix(const T *from, int64_t depth, int64_t width, T *to) {
  const int64_t columns = rounded_up(width);
  for (int64_t k = 0; k < depth; ++k)
    for (int64_t j = 0; j < width; ++j)
      to[k * columns + j] = from[(j / panel<T> * depth + k) * panel<T> + j % panel<T>];
}

template <typename T>
static void pad_rows(const T *from, int64_t rows, int64_t width, T *to) {
  for (int64_t k = 0; k < rows; ++k)
    std::copy_n(from + k * width, width, to + k * rounded_up(width));
}

template <typename T> static void fill_weights(const Model &m, const Places &p, T *to) {
  const T *from = (const T *)m.weights;
  const int64_t pairs = m.types * m.types;
  std::fill_n(to, p.weights, T(0));
  for (long n = 0; n < m.operations; ++n) {
    const allegro_operation &operation = m.operation[n];
    switch (operation.code) {
      case ALLEGRO_LINEAR: {
        const auto &op = as<allegro_linear>(operation);
        unpack_matrix(from + op.forward, op.depth, op.width, to + p.forward[n]);
        unpack_matrix(from + op.backward, op.width, op.depth, to + p.backward[n]);
        break;
      }
      case ALLEGRO_TYPES: {
        const auto &op = as<allegro_types>(operation);
        pad_rows(from + op.weights, pairs, op.width, to + p.forward[n]);
        break;
      }
      case ALLEGRO_SPLINE: {
        const auto &op = as<allegro_spline>(operation);
        pad_rows(from + op.weights, pairs * m.radial, op.width, to + p.forward[n]);
        break;
      }
      case ALLEGRO_ENERGY: {
        const auto &op = as<allegro_energy>(operation);
        pad_rows(from + op.weights, 1, op.width, to + p.forward[n]);
        break;
      }
      case ALLEGRO_CHARGE: {
        const auto &op = as<allegro_charge>(operation);
        for (int64_t type = 0; type < m.types; ++type)
          pad_rows(from + op.weights + type * padded<T>(op.width), 1, op.width,
                   to + p.forward[n] + type * rounded_up(op.width));
      }
    }
  }
  for (long n = 0; n < m.layers; ++n)
    std::copy_n(from + m.layer[n].weights, m.layer[n].entries * m.channels,
                to + p.layer[n].weights);
  std::copy_n(from + m.table, pairs * m.points * 4 * m.first_width, to + p.table);
}

static void fill_constants(const Model &m, const Places &p, double *to) {
  const int64_t pairs = m.types * m.types;
  std::copy_n(m.norm, m.types, to + p.norm);
  std::copy_n(m.factors, m.types, to + p.factors);
  std::copy_n(m.shifts, m.types, to + p.shifts);
  std::copy_n(m.cutoffs, pairs, to + p.cutoffs);
  std::copy_n(m.roots, m.radial, to + p.roots);
  std::copy_n(m.core_strengths, pairs * m.core, to + p.core_strengths);
  std::copy_n(m.core_rates, pairs * m.core, to + p.core_rates);
  if (!m.has_inner) return;
  const int64_t start = as<allegro_inner>(m.operation[0]).weights;
  for (int64_t kind = 0; kind < pairs; ++kind)
    to[p.inner + kind] = m.is_double ? ((const double *)m.weights)[start + kind]
                                     : ((const float *)m.weights)[start + kind];
}

// The entries by one of their three indices, then by column, then by their place.
static void fill_order(const Layer &l, const Order &o, int64_t allegro_entry::*output,
                       int32_t *to) {
  std::vector<int32_t> order(l.entries);
  for (int64_t n = 0; n < l.entries; ++n) order[n] = n;
  const auto before = [&](int32_t a, int32_t b) {
    const allegro_entry &one = l.entry[a], &other = l.entry[b];
    if (one.*output != other.*output) return one.*output < other.*output;
    return one.column < other.column;
  };
  std::stable_sort(order.begin(), order.end(), before);
  int64_t place = 0;
  for (int64_t i = 0; i < o.outputs; ++i) {
    to[o.starts + i] = to[o.firsts + i] = place;
    for (; place < l.entries && l.entry[order[place]].*output == i; ++place) {
      const allegro_entry &entry = l.entry[order[place]];
      int32_t *term = to + o.terms + 3 * place;
      *term++ = order[place];
      if (output != &allegro_entry::row) *term++ = entry.row;
      if (output != &allegro_entry::column) *term++ = entry.column;
      if (output != &allegro_entry::environment) *term++ = entry.environment;
      if (entry.column == 0) to[o.firsts + i] = place + 1;
    }
  }
  to[o.starts + o.outputs] = place;
}

static void fill_integers(const Model &m, const Places &p, int32_t *to) {
  for (long n = 0; n < m.layers; ++n) {
    const LayerPlaces &places = p.layer[n];
    fill_order(m.layer[n], places.by_row, &allegro_entry::row, to);
    fill_order(m.layer[n], places.by_column, &allegro_entry::column, to);
    fill_order(m.layer[n], places.by_environment, &allegro_entry::environment, to);
  }
}

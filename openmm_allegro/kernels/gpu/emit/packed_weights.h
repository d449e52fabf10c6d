// SPDX-License-Identifier: MIT
// Weights in the order in which the tiles of products read them. Included after
// packed_values.h.

// Columns of a tile: 16 v of them from `column` on; its numbers of a thread from `element`.
struct Chunk {
  int64_t v, column, element;
};

static std::vector<Chunk> chunks_of(int64_t padded) {
  std::vector<Chunk> chunks;
  for (int64_t column = 0, v = 4; column < padded; column += TILE_STEP * v) {
    while (TILE_STEP * v > padded - column) v /= 2;
    chunks.push_back({v, column, column / 4});
  }
  return chunks;
}

// A matrix of weights of an operation, or a part of it.
struct PackedMatrix {
  enum Kind { FORWARD, BACKWARD, TYPES, SPLINE, ENERGY, CHARGE } kind;
  int64_t operation, row, column, depth, width;  // of what is in the program
  int64_t padded;                                // columns
  int64_t start;
};

// Terms of a layer's tensor product by one of its indices, see `contract_group` of
// device/centers.cc: where their couplings are in the weights, in the same order.
struct PackedTerms {
  int64_t layer;
  Order order;
  int64_t terms, couplings;
};

class PackedWeights {
 public:
  // Numbers after the last matrix that may be read with it.
  static constexpr int64_t BEYOND = 512;

  int64_t size, integers;

  PackedWeights(const Model &m, const Places &places, bool has_fragments)
      : size(places.weights), integers(places.integers), m(m), has_fragments(has_fragments) {
    const auto add = [&](int64_t layer, const Order &order) {
      const int64_t entries = m.layer[layer].entries;
      orders.push_back({layer, order, integers, size});
      integers += entries, size += rounded_up(entries * m.channels);
    };
    for (int64_t n = 0; n < m.layers; ++n) {
      const LayerPlaces &layer = places.layer[n];
      add(n, layer.by_row), add(n, layer.by_column), add(n, layer.by_environment);
    }
  }

  const PackedTerms &terms(const Order &order) const {
    for (const PackedTerms &terms : orders)
      if (terms.order.terms == order.terms) return terms;
    return orders.front();
  }

  // Depth of a product with its padding.
  int64_t depth(int64_t depth) const { return rounded_up(depth, has_fragments ? 8 : 4); }

  // The matrix of a term, from a value to another; where it starts.
  int64_t forward(const Term &term, const Value &to) {
    return add({PackedMatrix::FORWARD, term.operation, term.row, term.column, term.depth,
                to.width, to.padded()});
  }

  // Its transpose, for the way back.
  int64_t backward(const Term &term, const Value &from, const Value &to) {
    return add({PackedMatrix::BACKWARD, term.operation, term.column, term.row, to.width,
                term.depth, from.padded()});
  }

  // Numbers of each ordered pair of elements [pairs · depth, width], of an energy, or of
  // each element's charge.
  int64_t rows(PackedMatrix::Kind kind, int64_t operation, int64_t column, int64_t depth,
               const Value &value) {
    return add({kind, operation, 0, column, depth, value.width, value.padded()});
  }

  // The weights, and the terms from the integers before them.
  template <typename T> void fill(T *to, int32_t *numbers) const {
    std::fill_n(to + size, BEYOND, T(0));
    for (const PackedTerms &own : orders) fill_terms(own, to, numbers);
    for (const PackedMatrix &matrix : all) {
      const int64_t depth = rows_of(matrix);
      for (int64_t k = 0; k < depth; ++k)
        for (int64_t j = 0; j < matrix.padded; ++j) {
          const bool is_inside = k < matrix.depth && j < matrix.width;
          const int64_t at = is_product(matrix) ? place(depth, matrix.padded, k, j)
                                                : k * matrix.padded + j;
          to[matrix.start + at] = is_inside ? number<T>(matrix, k, j) : T(0);
        }
    }
  }

 private:
  const Model &m;
  const bool has_fragments;
  std::vector<PackedMatrix> all;
  std::vector<PackedTerms> orders;

  template <typename T> void fill_terms(const PackedTerms &own, T *to, int32_t *numbers) const {
    const Layer &layer = m.layer[own.layer];
    const T *from = (const T *)m.weights + layer.weights;
    for (int64_t n = 0; n < layer.entries; ++n) {
      const int32_t *term = numbers + own.order.terms + 3 * n;
      numbers[own.terms + n] = (term[1] | term[2] << 16) * m.channels;
      std::copy_n(from + term[0] * m.channels, m.channels,
                  to + own.couplings + n * m.channels);
    }
  }

  static bool is_product(const PackedMatrix &m) { return m.kind <= PackedMatrix::BACKWARD; }

  int64_t rows_of(const PackedMatrix &matrix) const {
    return is_product(matrix) ? depth(matrix.depth) : matrix.depth;
  }

  int64_t add(PackedMatrix matrix) {
    for (const PackedMatrix &other : all)
      if (other.kind == matrix.kind && other.operation == matrix.operation &&
          other.row == matrix.row && other.column == matrix.column &&
          other.depth == matrix.depth && other.width == matrix.width &&
          other.padded == matrix.padded)
        return other.start;
    matrix.start = size;
    size += rounded_up(rows_of(matrix) * matrix.padded);
    all.push_back(matrix);
    return matrix.start;
  }

  // Where a number of a product's matrix is, see device/products.cc.
  int64_t place(int64_t depth, int64_t padded, int64_t k, int64_t j) const {
    for (const Chunk &chunk : chunks_of(padded)) {
      const int64_t column = j - chunk.column, width = TILE_STEP * chunk.v;
      if (column >= width) continue;
      const int64_t start = depth * chunk.column;
      if (!has_fragments) return start + k * width + column;
      const int64_t fragment = k / 8 * 2 * chunk.v + column / 8;
      const int64_t lane = column % 8 * 4 + k % 4;
      return start + 64 * fragment + 2 * lane + k % 8 / 4;
    }
    return -1;
  }

  template <typename T> T number(const PackedMatrix &matrix, int64_t k, int64_t j) const {
    const T *from = (const T *)m.weights;
    const allegro_operation &operation = m.operation[matrix.operation];
    const auto of_linear = [&](int64_t row, int64_t column) {
      const auto &op = as<allegro_linear>(operation);
      return from[op.forward + (column / panel<T> * op.depth + row) * panel<T> +
                  column % panel<T>];
    };
    const int64_t column = matrix.column + j;
    switch (matrix.kind) {
      case PackedMatrix::FORWARD: return of_linear(matrix.row + k, column);
      case PackedMatrix::BACKWARD: return of_linear(column, matrix.row + k);
      case PackedMatrix::TYPES: {
        const auto &op = as<allegro_types>(operation);
        return from[op.weights + k * op.width + column];
      }
      case PackedMatrix::SPLINE: {
        const auto &op = as<allegro_spline>(operation);
        return from[op.weights + k * op.width + column];
      }
      case PackedMatrix::ENERGY: return from[as<allegro_energy>(operation).weights + column];
      case PackedMatrix::CHARGE: {
        const auto &op = as<allegro_charge>(operation);
        return from[op.weights + k * ::padded<T>(op.width) + column];
      }
    }
    return T(0);
  }
};

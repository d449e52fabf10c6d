// SPDX-License-Identifier: MIT
// A program's segments as values that are each computed at once, and the order in which the
// kernel `network` needs them. Included after arrays.h.

// Columns of a tile of a product are a multiple of this.
constexpr int64_t TILE_STEP = 16;

// A product with a part of a matrix of the program: its rows from `row` and columns from
// `column` on.
struct Term {
  int64_t source;  // a value
  int64_t operation, row, depth, column;
  bool is_stage;
};

// A function of single numbers: TYPES, or ACTIVATION. Its columns start at `column` of the
// operation's.
struct Pointwise {
  int64_t operation, column;
};

// Columns of a row that are read and written together. Their value is a sum of products, or
// what a spline or a tensor product gives, or for a table's range of distances the table;
// then functions of single numbers, in their order.
struct Value {
  int64_t column, end;  // of the program's columns
  int64_t width = 0;    // numbers that are not padding
  std::vector<Term> terms;
  std::vector<Pointwise> pointwise;
  int64_t spline = -1, spline_column = 0, tensor = -1;  // operations
  bool is_basis = false, is_table = false, is_read = false;

  int64_t padded() const { return rounded_up(width, TILE_STEP); }
  // Numbers from one row to the next: an odd multiple of 4.
  int64_t ld() const { return padded() + 4; }
  bool is_plain() const { return pointwise.empty() && spline < 0 && tensor < 0 && !is_basis; }
};

// What is done, in order: a value computed, a tensor product, an energy or a charge added.
struct Event {
  enum Kind { MAKE, TENSOR, ENERGY, CHARGE } kind;
  int64_t value;      // the one that is computed, or read by an energy or a charge
  int64_t operation;  // of all but those that are computed
  int64_t column;     // of the weights of an energy or a charge
};

class Values {
 public:
  std::vector<Value> all;
  std::vector<Event> events;
  int64_t basis;

  explicit Values(const Model &m) : m(m) {
    cut();
    for (int64_t n = 0; n < m.operations; ++n) define(n);
    made.assign(all.size(), false);
    made[basis] = true;
    for (int64_t n = 0; n < m.operations; ++n) order(n);
  }

  // The value of columns that are one.
  int64_t at(int64_t column) const {
    for (size_t i = 0; i < all.size(); ++i)
      if (all[i].column <= column && column < all[i].end) return i;
    throw Unfit{"expected a value at each column that is read, found none at " +
                std::to_string(column)};
  }

 private:
  const Model &m;
  std::vector<bool> made;

  [[noreturn]] static void refuse(const std::string &expected, int64_t operation) {
    throw Unfit{"expected " + expected + ", found operation " + std::to_string(operation)};
  }

  int64_t panels(int64_t width) const {
    return m.is_double ? padded<double>(width) : padded<float>(width);
  }

  // Cut the columns wherever an operation's begin or end.
  void cut() {
    std::vector<int64_t> places;
    const auto add = [&](int64_t column, int64_t width) {
      places.push_back(column), places.push_back(column + width);
    };
    add(m.basis, panels(m.radial));
    for (int64_t n = 0; n < m.operations; ++n) {
      const allegro_operation &row = m.operation[n];
      switch (row.code) {
        case ALLEGRO_LINEAR: {
          const auto &op = as<allegro_linear>(row);
          add(op.source, panels(op.depth)), add(op.target, panels(op.width));
          break;
        }
        case ALLEGRO_ACTIVATION: {
          const auto &op = as<allegro_activation>(row);
          add(op.target, op.width);
          break;
        }
        case ALLEGRO_TYPES: {
          const auto &op = as<allegro_types>(row);
          add(op.target, panels(op.width));
          break;
        }
        case ALLEGRO_SPLINE: {
          const auto &op = as<allegro_spline>(row);
          add(op.target, panels(op.width));
          break;
        }
        case ALLEGRO_TENSOR: {
          const auto &op = as<allegro_tensor>(row);
          add(op.tensor, m.degrees * m.channels), add(op.environment, m.degrees * m.channels);
          add(op.target, m.channels);
          break;
        }
        case ALLEGRO_ENERGY: {
          const auto &op = as<allegro_energy>(row);
          add(op.source, panels(op.width));
          break;
        }
        case ALLEGRO_CHARGE: {
          const auto &op = as<allegro_charge>(row);
          add(op.source, panels(op.width));
        }
      }
    }
    std::sort(places.begin(), places.end());
    places.erase(std::unique(places.begin(), places.end()), places.end());
    for (size_t i = 0; i + 1 < places.size(); ++i) {
      Value value = {places[i], places[i + 1]};
      value.is_table = m.points && value.column >= m.first &&
                       value.column < m.first + m.first_width;
      all.push_back(value);
    }
    basis = at(m.basis);
    all[basis].is_basis = true;
    all[basis].width = m.radial;
  }

  // f(value, offset of its first column, its columns) for those from a column on.
  template <typename F> void each(int64_t column, int64_t width, F f) {
    for (int64_t i = 0; i < (int64_t)all.size(); ++i) {
      Value &value = all[i];
      if (value.column < column || value.column >= column + width) continue;
      f(i, value.column - column, std::min(value.end, column + width) - value.column);
    }
  }

  // A value that is written; it cannot be once it has been read.
  Value &written(int64_t i, int64_t n) {
    if (all[i].is_read || all[i].is_basis) refuse("values that are complete where read", n);
    return all[i];
  }

  void read_value(int64_t i, int64_t n) {
    const Value &value = all[i];
    if (!value.width) refuse("values that are complete where read", n);
    if (m.points && n >= m.stage && value.column < m.first)
      refuse("results of the first stage within the table", n);
    all[i].is_read = true;
  }

  void define(int64_t n) {
    const allegro_operation &row = m.operation[n];
    switch (row.code) {
      case ALLEGRO_LINEAR: return define_linear(as<allegro_linear>(row), n);
      case ALLEGRO_ACTIVATION: {
        const auto &op = as<allegro_activation>(row);
        return define_pointwise(op.target, op.width, n);
      }
      case ALLEGRO_TYPES: {
        const auto &op = as<allegro_types>(row);
        return define_pointwise(op.target, op.width, n);
      }
      case ALLEGRO_SPLINE: {
        const auto &op = as<allegro_spline>(row);
        return each(op.target, op.width, [&](int64_t i, int64_t offset, int64_t width) {
          Value &value = written(i, n);
          if (value.width) refuse("one spline for a value", n);
          value.spline = n, value.spline_column = offset, value.width = width;
        });
      }
      case ALLEGRO_TENSOR: {
        const auto &op = as<allegro_tensor>(row);
        for (const int64_t column : {op.tensor, op.environment}) {
          const int64_t i = at(column);
          read_value(i, n);
          if (all[i].column != column || all[i].width != m.degrees * m.channels)
            refuse("a value for the weights of a tensor product", n);
        }
        Value &target = written(at(op.target), n);
        if (target.width) refuse("a value for the scalars of a tensor product", n);
        target.tensor = n, target.width = m.channels;
        return;
      }
      case ALLEGRO_ENERGY: {
        const auto &op = as<allegro_energy>(row);
        return each(op.source, op.width, [&](int64_t i, int64_t, int64_t) { read_value(i, n); });
      }
      case ALLEGRO_CHARGE: {
        const auto &op = as<allegro_charge>(row);
        return each(op.source, op.width, [&](int64_t i, int64_t, int64_t) { read_value(i, n); });
      }
    }
  }

  void define_pointwise(int64_t column, int64_t width, int64_t n) {
    each(column, width, [&](int64_t i, int64_t offset, int64_t) {
      if (!all[i].width) return;  // padding
      written(i, n).pointwise.push_back({n, offset});
    });
  }

  void define_linear(const allegro_linear &op, int64_t n) {
    std::vector<Term> terms;
    each(op.source, op.depth, [&](int64_t i, int64_t offset, int64_t depth) {
      if (i != basis) read_value(i, n);
      terms.push_back({i, n, offset, std::min(depth, all[i].width), 0, n < m.stage});
    });
    each(op.target, op.width, [&](int64_t i, int64_t offset, int64_t width) {
      Value &value = written(i, n);
      if (!value.pointwise.empty() || (value.width && !op.add))
        refuse("values that are sums of products", n);
      value.width = std::max(value.width, width);
      for (Term term : terms) {
        term.column = offset;
        value.terms.push_back(term);
      }
    });
  }

  // Compute a value, and those that it needs, if that has not been done.
  void need(int64_t i) {
    if (made[i]) return;
    made[i] = true;
    if (all[i].tensor >= 0) refuse("tensor products before they are read", all[i].tensor);
    for (const Term &term : all[i].terms) need(term.source);
    events.push_back({Event::MAKE, i, -1, 0});
  }

  void order(int64_t n) {
    const allegro_operation &row = m.operation[n];
    if (row.code == ALLEGRO_TENSOR) {
      const auto &op = as<allegro_tensor>(row);
      need(at(op.tensor)), need(at(op.environment));
      made[at(op.target)] = true;
      events.push_back({Event::TENSOR, at(op.target), n, 0});
    } else if (row.code == ALLEGRO_ENERGY) {
      const auto &op = as<allegro_energy>(row);
      order_sum(Event::ENERGY, op.source, op.width, n);
    } else if (row.code == ALLEGRO_CHARGE) {
      const auto &op = as<allegro_charge>(row);
      order_sum(Event::CHARGE, op.source, op.width, n);
    }
  }

  void order_sum(Event::Kind kind, int64_t column, int64_t width, int64_t n) {
    each(column, width, [&](int64_t i, int64_t offset, int64_t) {
      need(i);
      events.push_back({kind, i, n, offset});
    });
  }
};

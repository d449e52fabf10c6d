// SPDX-License-Identifier: MIT
// Columns of a row in scratch memory. The derivative by a column takes its place, because
// the way back does not read its value; but the values of harmonics and of the weights of
// tensor features are read there, so these and what is written with them have columns for
// both. Included after arrays.h.

constexpr int64_t LINE = 32;  // numbers to whose multiples scratch memory is padded

struct Columns {
  std::vector<int64_t> derivative;  // column of each of the program's columns
  int64_t table_slope, table_place, kinds, neighbors, images, starts;
  int64_t count;
};

// Ranges of columns that an operation reads or writes as a whole.
static void add_ranges(const Model &m, const allegro_operation &operation,
                       std::vector<Range> *all) {
  const auto add = [&](long begin, long width) { all->push_back({begin, begin + width}); };
  switch (operation.code) {
    case ALLEGRO_LINEAR: {
      const auto &op = as<allegro_linear>(operation);
      add(op.source, rounded_up(op.depth));
      return add(op.target, rounded_up(op.width));
    }
    case ALLEGRO_ACTIVATION: {
      const auto &op = as<allegro_activation>(operation);
      return add(op.target, op.width);
    }
    case ALLEGRO_TYPES: {
      const auto &op = as<allegro_types>(operation);
      return add(op.target, op.width);
    }
    case ALLEGRO_SPLINE: {
      const auto &op = as<allegro_spline>(operation);
      return add(op.target, op.width);
    }
    case ALLEGRO_TENSOR: return add(as<allegro_tensor>(operation).target, m.channels);
    case ALLEGRO_ENERGY: {
      const auto &op = as<allegro_energy>(operation);
      return add(op.source, rounded_up(op.width));
    }
    case ALLEGRO_CHARGE: {
      const auto &op = as<allegro_charge>(operation);
      return add(op.source, rounded_up(op.width));
    }
  }
}

// Columns whose values the way back reads, with all that ranges connect to them.
static std::vector<bool> columns_kept(const Model &m) {
  std::vector<bool> kept(m.stride);
  const auto keep = [&](long begin, long end) {
    std::fill(kept.begin() + begin, kept.begin() + std::min(end, (long)m.stride), true);
  };
  std::vector<Range> ranges = {{(long)m.first, long(m.first + m.first_width)},
                               {(long)m.basis, long(m.basis + rounded_up(m.radial))}};
  keep(m.harmonic, m.harmonic + rounded_up(m.components));
  for (long n = 0; n < m.operations; ++n) {
    add_ranges(m, m.operation[n], &ranges);
    if (m.operation[n].code != ALLEGRO_TENSOR) continue;
    const auto &op = as<allegro_tensor>(m.operation[n]);
    keep(op.tensor, op.tensor + m.degrees * m.channels);
    keep(op.environment, op.environment + m.degrees * m.channels);
  }
  for (bool has_grown = true; has_grown;) {
    has_grown = false;
    for (const Range &range : ranges) {
      const auto begin = kept.begin() + range.begin;
      const auto end = kept.begin() + std::min(range.end, (long)m.stride);
      const auto some = std::count(begin, end, true);
      if (some == 0 || some == end - begin) continue;
      keep(range.begin, range.end);
      has_grown = true;
    }
  }
  return kept;
}

// Ranges of columns whose derivatives are zero at first: those that the way back only adds
// to, and those among the first results that nothing writes but the matrix of the first
// stage reads.
static std::vector<Range> columns_zeroed(const Model &m) {
  std::vector<bool> zeroed(m.stride), written(m.stride);
  const auto mark = [&](std::vector<bool> &columns, long begin, long end) {
    std::fill(columns.begin() + begin, columns.begin() + std::min(end, (long)m.stride), true);
  };
  for (long n = m.stage; n < m.operations; ++n) {
    const allegro_operation &operation = m.operation[n];
    if (operation.code == ALLEGRO_LINEAR) {
      const auto &op = as<allegro_linear>(operation);
      mark(written, op.source, op.source + rounded_up(op.depth));
    } else if (operation.code == ALLEGRO_ENERGY) {
      const auto &op = as<allegro_energy>(operation);
      mark(written, op.source, op.source + rounded_up(op.width));
    } else if (operation.code == ALLEGRO_CHARGE) {
      const auto &op = as<allegro_charge>(operation);
      mark(written, op.source, op.source + rounded_up(op.width));
    } else if (operation.code == ALLEGRO_TENSOR) {
      const auto &op = as<allegro_tensor>(operation);
      mark(written, op.tensor, op.tensor + m.degrees * m.channels);
      mark(written, op.environment, op.environment + m.degrees * m.channels);
    }
  }
  for (long i = m.first; i < m.first + m.first_width; ++i) zeroed[i] = !written[i];
  for (const Range &range : m.zeroed) mark(zeroed, range.begin, range.end);
  std::vector<Range> ranges;
  for (long begin = 0, end; begin < m.stride; begin = end) {
    for (end = begin + 1; end < m.stride && zeroed[end] == zeroed[begin];) ++end;
    if (zeroed[begin]) ranges.push_back({begin, end});
  }
  return ranges;
}

static Columns plan_columns(const Model &m) {
  Columns c = {};
  c.count = m.stride;
  const auto take = [&](int64_t width) {
    const int64_t start = c.count;
    c.count += width;
    return start;
  };
  const std::vector<bool> kept = columns_kept(m);
  for (long i = 0; i < m.stride; ++i) c.derivative.push_back(kept[i] ? take(1) : i);
  c.table_slope = take(m.points ? m.first_width : 0);
  c.table_place = take(m.points ? 1 : 0);
  c.starts = take(m.points ? 1 : 0);
  c.kinds = take(1), c.neighbors = take(1), c.images = take(1);
  c.count = rounded_up(c.count, LINE);
  return c;
}

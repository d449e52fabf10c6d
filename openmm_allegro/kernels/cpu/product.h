// SPDX-License-Identifier: MIT
// The sparse product of three arrays and its gradient by the weights.

static bool within(const allegro_product &p) {
  for (long n = 0; n < p.terms; ++n) {
    const int64_t *entry = p.entries + 4 * n;
    for (int k = 0; k < 3; ++k)
      if (entry[p.columns[k]] < 0 || entry[p.columns[k]] >= p.sizes[k]) return false;
    if (entry[3] < 0 || entry[3] >= p.paths) return false;
  }
  return true;
}

// Terms in the order of `column`, and where each value of it starts.
static void sort_terms(const allegro_product &p, long column, long count, std::vector<long> &order,
                       std::vector<long> &start) {
  start.assign(count + 1, 0);
  for (long n = 0; n < p.terms; ++n) ++start[p.entries[4 * n + column] + 1];
  for (long i = 0; i < count; ++i) start[i + 1] += start[i];
  std::vector<long> next(start.begin(), start.end() - 1);
  order.resize(p.terms);
  for (long n = 0; n < p.terms; ++n) order[next[p.entries[4 * n + column]]++] = n;
}

struct Term {
  int left, right;  // of packed components, in elements
};

// `width` channels of the components [size, channels] at x, each to one vector.
template <typename T>
static inline void pack(const T *x, long size, long channels, long width, T *out) {
  constexpr int L = lanes<T>;
  for (long i = 0; i < size; ++i, x += channels, out += L)
    if (width == L)
      store(out, load(x));
    else
      for (long u = 0; u < L; ++u) out[u] = u < width ? x[u] : T(0);
}

template <typename T>
static void contract(const allegro_product &p, long begin, long end) {
  typedef typename Vector<T>::V V;
  constexpr int L = lanes<T>;
  const T *weights = (const T *)p.zeroth, *x = (const T *)p.first;
  const T *y = (const T *)p.second;
  T *out = (T *)p.out;
  std::vector<long> order, start;
  sort_terms(p, p.columns[0], p.sizes[0], order, start);
  std::vector<Term> term(p.terms);
  std::vector<T> factor(p.terms * L), left(p.sizes[1] * L), right(p.sizes[2] * L);
  for (long n = 0; n < p.terms; ++n) {
    const int64_t *entry = p.entries + 4 * order[n];
    term[n] = {int(entry[p.columns[1]] * L), int(entry[p.columns[2]] * L)};
  }
  for (long u = 0; u < p.channels; u += L) {
    const long width = std::min<long>(L, p.channels - u);
    for (long n = 0; n < p.terms; ++n) {
      const T *w = weights + u * p.paths + p.entries[4 * order[n] + 3];
      const T value = p.values[order[n]];
      for (long i = 0; i < L; ++i)
        factor[n * L + i] = i < width ? value * w[i * p.paths] : T(0);
    }
    for (long c = begin; c < end; ++c) {
      pack(x + c * p.sizes[1] * p.channels + u, p.sizes[1], p.channels, width, left.data());
      pack(y + c * p.sizes[2] * p.channels + u, p.sizes[2], p.channels, width, right.data());
      T *to = out + c * p.sizes[0] * p.channels + u;
      for (long i = 0; i < p.sizes[0]; ++i, to += p.channels) {
        V sum = {};
        for (long n = start[i]; n < start[i + 1]; ++n)
          sum += load(&factor[n * L]) *
                 (load(&left[term[n].left]) * load(&right[term[n].right]));
        if (width == L)
          store(to, sum);
        else
          for (long k = 0; k < width; ++k) to[k] = sum[k];
      }
    }
  }
}

// A thread's part of the sum over centres, into its own part of the result.
template <typename T>
static void contract_weights(const allegro_product &p, long thread, long begin, long end) {
  typedef typename Vector<T>::V V;
  constexpr int L = lanes<T>;
  T *out = (T *)p.out + thread * p.channels * p.paths;
  std::vector<long> order, start;
  sort_terms(p, 3, p.paths, order, start);
  std::vector<Term> term(p.terms);
  std::vector<int> first(p.terms);
  std::vector<T> value(p.terms);
  std::vector<T> packed[3], sums(p.paths * L);
  for (int k = 0; k < 3; ++k) packed[k].resize(p.sizes[k] * L);
  for (long n = 0; n < p.terms; ++n) {
    const int64_t *entry = p.entries + 4 * order[n];
    first[n] = entry[p.columns[0]] * L;
    term[n] = {int(entry[p.columns[1]] * L), int(entry[p.columns[2]] * L)};
    value[n] = p.values[order[n]];
  }
  const T *from[3] = {(const T *)p.zeroth, (const T *)p.first, (const T *)p.second};
  for (long u = 0; u < p.channels; u += L) {
    const long width = std::min<long>(L, p.channels - u);
    std::fill(sums.begin(), sums.end(), T(0));
    for (long c = begin; c < end; ++c) {
      for (int k = 0; k < 3; ++k)
        pack(from[k] + c * p.sizes[k] * p.channels + u, p.sizes[k], p.channels, width,
             packed[k].data());
      for (long i = 0; i < p.paths; ++i) {
        V sum = load(&sums[i * L]);
        for (long n = start[i]; n < start[i + 1]; ++n)
          sum += (value[n] * load(&packed[0][first[n]])) *
                 (load(&packed[1][term[n].left]) * load(&packed[2][term[n].right]));
        store(&sums[i * L], sum);
      }
    }
    for (long i = 0; i < p.paths; ++i)
      for (long k = 0; k < width; ++k) out[(u + k) * p.paths + i] = sums[i * L + k];
  }
}

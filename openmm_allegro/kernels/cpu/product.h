// SPDX-License-Identifier: MIT
// The sparse product of three arrays behind a centre's operator; see contraction.py.

struct Product {
  long centers, channels, terms, paths;
  long of[3];              // which column of the entries each of the three arrays has
  long size[3];            // their components: of the result, left, right
  const long *entries;     // [terms, 4], the last the path
  const double *values;    // [terms]
};

static Product product(const long *shape, const long *entries, const double *values) {
  return {shape[0], shape[1], shape[2], shape[3], {shape[4], shape[5], shape[6]},
          {shape[7], shape[8], shape[9]}, entries, values};
}

static bool within(const Product &p) {
  for (long n = 0; n < p.terms; ++n) {
    const long *entry = p.entries + 4 * n;
    for (int k = 0; k < 3; ++k)
      if (entry[p.of[k]] < 0 || entry[p.of[k]] >= p.size[k]) return false;
    if (entry[3] < 0 || entry[3] >= p.paths) return false;
  }
  return true;
}

// Terms in the order of `column`, and where each value of it starts.
static void sort_terms(const Product &p, long column, long count, std::vector<long> &order,
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
static void contract(const Product &p, const T *weights, const T *x, const T *y, T *out,
                     long begin, long end) {
  typedef typename Vector<T>::V V;
  constexpr int L = lanes<T>;
  std::vector<long> order, start;
  sort_terms(p, p.of[0], p.size[0], order, start);
  std::vector<Term> term(p.terms);
  std::vector<T> factor(p.terms * L), left(p.size[1] * L), right(p.size[2] * L);
  for (long n = 0; n < p.terms; ++n) {
    const long *entry = p.entries + 4 * order[n];
    term[n] = {int(entry[p.of[1]] * L), int(entry[p.of[2]] * L)};
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
      pack(x + c * p.size[1] * p.channels + u, p.size[1], p.channels, width, left.data());
      pack(y + c * p.size[2] * p.channels + u, p.size[2], p.channels, width, right.data());
      T *to = out + c * p.size[0] * p.channels + u;
      for (long i = 0; i < p.size[0]; ++i, to += p.channels) {
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

// out [channels, paths]
template <typename T>
static void contract_weights(const Product &p, const T *z, const T *x, const T *y, T *out,
                             long begin, long end) {
  typedef typename Vector<T>::V V;
  constexpr int L = lanes<T>;
  std::vector<long> order, start;
  sort_terms(p, 3, p.paths, order, start);
  std::vector<Term> term(p.terms);
  std::vector<int> first(p.terms);
  std::vector<T> value(p.terms);
  std::vector<T> packed[3], sums(p.paths * L);
  for (int k = 0; k < 3; ++k) packed[k].resize(p.size[k] * L);
  for (long n = 0; n < p.terms; ++n) {
    const long *entry = p.entries + 4 * order[n];
    first[n] = entry[p.of[0]] * L;
    term[n] = {int(entry[p.of[1]] * L), int(entry[p.of[2]] * L)};
    value[n] = p.values[order[n]];
  }
  const T *from[3] = {z, x, y};
  for (long u = 0; u < p.channels; u += L) {
    const long width = std::min<long>(L, p.channels - u);
    std::fill(sums.begin(), sums.end(), T(0));
    for (long c = begin; c < end; ++c) {
      for (int k = 0; k < 3; ++k)
        pack(from[k] + c * p.size[k] * p.channels + u, p.size[k], p.channels, width,
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

// Centres in equal parts to threads; `work` gets its number, the first and the last + 1.
template <typename Work> static void share(long centers, long threads, const Work &work) {
  std::vector<std::thread> team;
  for (long t = 0; t < threads; ++t) {
    const long begin = centers * t / threads, end = centers * (t + 1) / threads;
    if (t + 1 < threads) try {
        team.emplace_back([=, &work] { work(t, begin, end); });
        continue;
      } catch (const std::system_error &) {
        // the system gives no more threads: this one does the work
      }
    work(t, begin, end);
  }
  for (std::thread &member : team) member.join();
}

R"DEVICE(
// Tensor products in the kernel `network`: sums over the rows of each centre of a group and
// over channels, each in a fixed order, and the chain of a centre's operators. Rows of a
// matrix are `ld` numbers apart.

// Rows that a thread runs through, so that what their centre has is read once.
#define SPAN_COUNT (NETWORK_THREADS / CHANNELS < 1 ? 1 : NETWORK_THREADS / CHANNELS)
#define SPAN ((ROWS + SPAN_COUNT - 1) / SPAN_COUNT)
#define SPANS ((ROWS + SPAN - 1) / SPAN)

// out[s, a, u] = the sum over a centre's rows of y_a w_{l(a), u} g_u, times its norm; without
// `g` and `norm` these are 1.
DEVICE void sum_group(const Group *p, LOCAL_ARG const NET *y, const int ldy,
                     LOCAL_ARG const NET *w, const int ldw, LOCAL_ARG const NET *g,
                     const int ldg, LOCAL_ARG const NET *norm, const int has_g,
                     LOCAL_ARG NET *out) {
  const int used = p->flags[USED];
  OWN_PART(i, DEGREES * used * CHANNELS) {
    const int u = i % CHANNELS, s = i / CHANNELS % used;
    const int degree = DEGREES - 1 - i / CHANNELS / used;  // the longest sums first
    const int begin = p->first[s], end = p->first[s + 1];
    UNROLL
    for (int l = 0; l < DEGREES; l++) {
      if (l != degree) continue;
      NET sum[LARGEST_DEGREE];
      UNROLL
      for (int a = 0; a < LARGEST_DEGREE; a++) sum[a] = (NET)0;
      UNROLL_4
      for (int row = begin; row < end; row++) {
        NET value = w[row * ldw + l * CHANNELS + u];
        if (has_g) value *= g[row * ldg + u];
        UNROLL
        for (int a = 0; a < LARGEST_DEGREE; a++)
          if (a < COMPONENTS_OF(l)) sum[a] += y[row * ldy + FIRST_COMPONENT(l) + a] * value;
      }
      const NET factor = has_g ? (NET)1 : norm[s];
      UNROLL
      for (int a = 0; a < LARGEST_DEGREE; a++)
        if (a < COMPONENTS_OF(l))
          out[(s * COMPONENTS + FIRST_COMPONENT(l) + a) * CHANNELS + u] = factor * sum[a];
    }
  }
}

// A centre's v [COMPONENTS, CHANNELS], of one channel.
DEVICE void load_components(LOCAL_ARG const NET *v, int slot, int u, NET *value) {
  UNROLL
  for (int a = 0; a < COMPONENTS; a++) value[a] = v[(slot * COMPONENTS + a) * CHANNELS + u];
}

DEVICE NET4 load_4(LOCAL_ARG const NET *from) { return *(LOCAL_ARG const NET4 *)from; }

// The harmonics of a row, with what is behind them.
#define PADDED_COMPONENTS ((COMPONENTS + 3) / 4 * 4)
DEVICE void load_harmonics(LOCAL_ARG const NET *y, NET *value) {
  UNROLL
  for (int a = 0; a < PADDED_COMPONENTS; a += 4) {
    const NET4 x = load_4(y + a);
    value[a] = x.x, value[a + 1] = x.y, value[a + 2] = x.z, value[a + 3] = x.w;
  }
}

// Σ_a y_a v_a of each degree.
DEVICE void sum_degrees(const NET *y, const NET *v, NET *parts) {
  UNROLL
  for (int l = 0; l < DEGREES; l++) parts[l] = (NET)0;
  UNROLL
  for (int a = 0; a < COMPONENTS; a++) parts[DEGREE_OF(a)] += y[a] * v[a];
}

// The same of a row, whose centre's v is loaded where it is not that of the row before.
DEVICE void sum_row(const Group *p, LOCAL_ARG const NET *y, const int ldy,
                    LOCAL_ARG const NET *v, const int u, const int row, int *slot,
                    NET *value, NET *parts) {
  NET harmonic[PADDED_COMPONENTS];
  if (p->slot[row] != *slot) {
    *slot = p->slot[row];
    load_components(v, *slot, u, value);
  }
  load_harmonics(y + row * ldy, harmonic);
  sum_degrees(harmonic, value, parts);
}

// Scalars of each row: s_u = Σ_a w_{l(a), u} y_a v_{a, u}.
DEVICE void fill_scalars(const Group *p, LOCAL_ARG const NET *y, const int ldy,
                         LOCAL_ARG const NET *w, const int ldw, LOCAL_ARG const NET *v,
                         LOCAL_ARG NET *out, const int ldo) {
  OWN_PART(i, SPANS * CHANNELS) {
    const int u = i % CHANNELS, begin = i / CHANNELS * SPAN;
    int slot = -1;
    NET value[COMPONENTS];
    for (int row = begin; row < begin + SPAN && row < ROWS; row++) {
      NET total = (NET)0, parts[DEGREES];
      sum_row(p, y, ldy, v, u, row, &slot, value, parts);
      UNROLL
      for (int l = 0; l < DEGREES; l++)
        total += parts[l] * w[row * ldw + l * CHANNELS + u];
      out[row * ldo + u] = total;
    }
  }
}

// Derivatives by w of Σ g_u w_{l(a), u} y_a v_{a, u}; without `g` it is 1.
DEVICE void spread(const Group *p, LOCAL_ARG const NET *y, const int ldy,
                   LOCAL_ARG const NET *v, LOCAL_ARG const NET *g,
                   const int ldg, const int has_g, LOCAL_ARG NET *out, const int ldo,
                   const int adds) {
  OWN_PART(i, SPANS * CHANNELS) {
    const int u = i % CHANNELS, begin = i / CHANNELS * SPAN;
    int slot = -1;
    NET value[COMPONENTS];
    for (int row = begin; row < begin + SPAN && row < ROWS; row++) {
      NET parts[DEGREES];
      sum_row(p, y, ldy, v, u, row, &slot, value, parts);
      UNROLL
      for (int l = 0; l < DEGREES; l++) {
        NET part = parts[l];
        if (has_g) part *= g[row * ldg + u];
        LOCAL_ARG NET *target = out + row * ldo + l * CHANNELS + u;
        *target = adds ? *target + part : part;
      }
    }
  }
}

// Derivatives by y of the same, the sum over channels.
DEVICE void meet(const Group *p, LOCAL_ARG const NET *w, const int ldw,
                 LOCAL_ARG const NET *v, LOCAL_ARG const NET *g, const int ldg,
                 const int has_g, LOCAL_ARG NET *out, const int ldo, const int adds) {
  OWN_PART(i, DEGREES * ROWS) {
    const int row = i % ROWS, degree = DEGREES - 1 - i / ROWS;
    UNROLL
    for (int l = 0; l < DEGREES; l++) {
      if (l != degree) continue;
      LOCAL_ARG const NET *own = w + row * ldw + l * CHANNELS;
      LOCAL_ARG const NET *other =
          v + (p->slot[row] * COMPONENTS + FIRST_COMPONENT(l)) * CHANNELS;
      NET sum[LARGEST_DEGREE];
      UNROLL
      for (int a = 0; a < LARGEST_DEGREE; a++) sum[a] = (NET)0;
      for (int u = 0; u < CHANNELS; u += 4) {
        NET4 b = load_4(own + u);
        if (has_g) {
          const NET4 f = load_4(g + row * ldg + u);
          b.x *= f.x, b.y *= f.y, b.z *= f.z, b.w *= f.w;
        }
        UNROLL
        for (int a = 0; a < LARGEST_DEGREE; a++) {
          if (a >= COMPONENTS_OF(l)) continue;
          const NET4 c = load_4(other + a * CHANNELS + u);
          sum[a] += b.x * c.x;
          sum[a] += b.y * c.y;
          sum[a] += b.z * c.z;
          sum[a] += b.w * c.w;
        }
      }
      LOCAL_ARG NET *target = out + row * ldo + FIRST_COMPONENT(l);
      UNROLL
      for (int a = 0; a < LARGEST_DEGREE; a++)
        if (a < COMPONENTS_OF(l)) target[a] = adds ? target[a] + sum[a] : sum[a];
    }
  }
}

// Centres whose sums a thread has at a time, so that it reads a coupling once for them.
#define CONTRACT_WIDTH (SLOTS % 4 == 0 ? 4 : SLOTS % 2 == 0 ? 2 : 1)

// out[s, o, u] = the sum over an output's terms of coupling p_i q_j. A term has i CHANNELS in
// its lower 16 bits, j CHANNELS in the upper ones; without components p or q is 1.
DEVICE void contract_group(const Group *group, GLOBAL const int *RESTRICT starts,
                           GLOBAL const int *RESTRICT ends, GLOBAL const int *RESTRICT terms,
                           GLOBAL const NET *RESTRICT couplings, const int outputs,
                           LOCAL_ARG const NET *p, const int p_size, LOCAL_ARG const NET *q,
                           const int q_size, LOCAL_ARG NET *out, const int adds,
                           const int is_scaled) {
  const int used = group->flags[USED], blocks = (used + CONTRACT_WIDTH - 1) / CONTRACT_WIDTH;
  OWN_PART(item, outputs * blocks * CHANNELS) {
    const int u = item % CHANNELS, first = item / CHANNELS % blocks * CONTRACT_WIDTH;
    const int o = item / CHANNELS / blocks, end = ends[o];
    NET sum[CONTRACT_WIDTH];
    UNROLL
    for (int k = 0; k < CONTRACT_WIDTH; k++) sum[k] = (NET)0;
    UNROLL_4
    for (int n = starts[o]; n < end; n++) {
      const NET coupling = couplings[n * CHANNELS + u];
      const int i = u + (terms[n] & 0xffff), j = u + (terms[n] >> 16);
      UNROLL
      for (int k = 0; k < CONTRACT_WIDTH; k++) {
        const int slot = first + k;
        NET part = coupling;
        if (p_size) part *= p[slot * p_size * CHANNELS + i];
        if (q_size) part *= q[slot * q_size * CHANNELS + j];
        sum[k] += part;
      }
    }
    UNROLL
    for (int k = 0; k < CONTRACT_WIDTH; k++) {
      const int slot = first + k;
      if (slot >= used) continue;
      LOCAL_ARG NET *target = out + (slot * outputs + o) * CHANNELS + u;
      const NET total = adds ? *target + sum[k] : sum[k];
      *target = is_scaled ? total * group->norm[slot] : total;
    }
  }
}
)DEVICE"

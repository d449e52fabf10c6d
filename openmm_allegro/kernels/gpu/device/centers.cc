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
    const int u = i % CHANNELS, s = i / CHANNELS % used, degree = i / CHANNELS / used;
    const int begin = p->first[s], end = p->first[s + 1];
    UNROLL
    for (int l = 0; l < DEGREES; l++) {
      if (l != degree) continue;
      NET sum[LARGEST_DEGREE];
      UNROLL
      for (int a = 0; a < COMPONENTS_OF(l); a++) sum[a] = (NET)0;
      UNROLL_4
      for (int row = begin; row < end; row++) {
        NET value = w[row * ldw + l * CHANNELS + u];
        if (has_g) value *= g[row * ldg + u];
        UNROLL
        for (int a = 0; a < COMPONENTS_OF(l); a++)
          sum[a] += y[row * ldy + FIRST_COMPONENT(l) + a] * value;
      }
      const NET factor = has_g ? (NET)1 : norm[s];
      UNROLL
      for (int a = 0; a < COMPONENTS_OF(l); a++)
        out[(s * COMPONENTS + FIRST_COMPONENT(l) + a) * CHANNELS + u] = factor * sum[a];
    }
  }
}

// A centre's v [COMPONENTS, CHANNELS], of one channel.
DEVICE void load_components(LOCAL_ARG const NET *v, int slot, int u, NET *value) {
  UNROLL
  for (int a = 0; a < COMPONENTS; a++) value[a] = v[(slot * COMPONENTS + a) * CHANNELS + u];
}

// Σ_a y_a v_a of one degree.
DEVICE NET sum_degree(LOCAL_ARG const NET *y, const NET *v, const int l) {
  NET total = (NET)0;
  UNROLL
  for (int a = FIRST_COMPONENT(l); a < FIRST_COMPONENT(l) + COMPONENTS_OF(l); a++)
    total += y[a] * v[a];
  return total;
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
      if (p->slot[row] != slot) {
        slot = p->slot[row];
        load_components(v, slot, u, value);
      }
      NET total = (NET)0;
      UNROLL
      for (int l = 0; l < DEGREES; l++)
        total += sum_degree(y + row * ldy, value, l) * w[row * ldw + l * CHANNELS + u];
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
      if (p->slot[row] != slot) {
        slot = p->slot[row];
        load_components(v, slot, u, value);
      }
      UNROLL
      for (int l = 0; l < DEGREES; l++) {
        NET part = sum_degree(y + row * ldy, value, l);
        if (has_g) part *= g[row * ldg + u];
        LOCAL_ARG NET *target = out + row * ldo + l * CHANNELS + u;
        *target = adds ? *target + part : part;
      }
    }
  }
}

DEVICE int degree_of(int a) {
  int degree = 0;
  UNROLL
  for (int l = 1; l < DEGREES; l++) degree += a >= FIRST_COMPONENT(l);
  return degree;
}

DEVICE NET4 load_4(LOCAL_ARG const NET *from) { return *(LOCAL_ARG const NET4 *)from; }

// Derivatives by y of the same, the sum over channels.
DEVICE void meet(const Group *p, LOCAL_ARG const NET *w, const int ldw,
                 LOCAL_ARG const NET *v, LOCAL_ARG const NET *g,
                 const int ldg, const int has_g, LOCAL_ARG NET *out, const int ldo,
                 const int adds) {
  OWN_PART(i, ROWS * COMPONENTS) {
    const int row = i % ROWS, a = i / ROWS;
    LOCAL_ARG const NET *own = w + row * ldw + degree_of(a) * CHANNELS;
    LOCAL_ARG const NET *other = v + (p->slot[row] * COMPONENTS + a) * CHANNELS;
    NET total = adds ? out[row * ldo + a] : (NET)0;
    UNROLL_4
    for (int u = 0; u < CHANNELS; u += 4) {
      const NET4 b = load_4(own + u), c = load_4(other + u);
      if (has_g) {
        const NET4 f = load_4(g + row * ldg + u);
        total += f.x * b.x * c.x;
        total += f.y * b.y * c.y;
        total += f.z * b.z * c.z;
        total += f.w * b.w * c.w;
      } else {
        total += b.x * c.x;
        total += b.y * c.y;
        total += b.z * c.z;
        total += b.w * c.w;
      }
    }
    out[row * ldo + a] = total;
  }
}

// out[s, o, u] = the sum over an output's terms of coupling p_i q_j. `p_index` and
// `q_index` are the places of i and j in a term; without `q` it is 1.
DEVICE void contract_group(const Group *group, GLOBAL const int *RESTRICT starts,
                     GLOBAL const int *RESTRICT ends, GLOBAL const int *RESTRICT terms,
                     GLOBAL const NET *RESTRICT couplings, const int outputs,
                     LOCAL_ARG const NET *p, const int p_size, const int p_index,
                     LOCAL_ARG const NET *q, const int q_size, const int q_index,
                     LOCAL_ARG NET *out, const int adds, const int scaled) {
  const int used = group->flags[USED];
  OWN_PART(i, outputs * used * CHANNELS) {
    const int u = i % CHANNELS, s = i / CHANNELS % used, o = i / CHANNELS / used;
    const int end = ends[o];
    NET total = (NET)0;
    UNROLL_4
    for (int n = starts[o]; n < end; n++) {
      GLOBAL const int *RESTRICT term = terms + 3 * n;
      NET part = couplings[term[0] * CHANNELS + u] *
                 p[(s * p_size + term[p_index]) * CHANNELS + u];
      if (q_size) part *= q[(s * q_size + term[q_index]) * CHANNELS + u];
      total += part;
    }
    LOCAL_ARG NET *target = out + (s * outputs + o) * CHANNELS + u;
    if (adds) total += *target;
    *target = scaled ? total * group->norm[s] : total;
  }
}
)DEVICE"

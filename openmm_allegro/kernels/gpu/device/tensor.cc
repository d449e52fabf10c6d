R"DEVICE(
// Sums over the entries of a tensor product, for each output and channel: a thread owns an
// output, so the order of a sum is always the same. Terms are an entry and two indices; those
// of output i are from starts[i] to before ends[i].

// out[i, u] (+)= the sum of weights[entry, u] first[j, u] second[k, u] over the terms
// (entry, j, k).
DEVICE_CALLED void contract(GLOBAL const int *RESTRICT starts, GLOBAL const int *RESTRICT ends,
                            GLOBAL const int *RESTRICT terms, int outputs,
                            GLOBAL const NET *RESTRICT weights, GLOBAL const NET *first,
                            GLOBAL const NET *second, GLOBAL NET *out, int add) {
  SHARE(place, outputs * CHANNELS) {
    const int i = place / CHANNELS, u = place % CHANNELS;
    NET sum = add ? out[place] : (NET)0;
    for (int n = starts[i]; n < ends[i]; n++) {
      GLOBAL const int *term = terms + 3 * n;
      sum += weights[term[0] * CHANNELS + u] * first[term[1] * CHANNELS + u] *
             second[term[2] * CHANNELS + u];
    }
    out[place] = sum;
  }
}

// out[i, u] (+)= the sum of weights[entry, u] factor[j, u], j being index `which` of a term.
DEVICE_CALLED void contract_one(GLOBAL const int *RESTRICT starts,
                                GLOBAL const int *RESTRICT ends,
                                GLOBAL const int *RESTRICT terms, int outputs, int which,
                                GLOBAL const NET *RESTRICT weights, GLOBAL const NET *factor,
                                GLOBAL NET *out, int add) {
  SHARE(place, outputs * CHANNELS) {
    const int i = place / CHANNELS, u = place % CHANNELS;
    NET sum = add ? out[place] : (NET)0;
    for (int n = starts[i]; n < ends[i]; n++)
      sum += weights[terms[3 * n] * CHANNELS + u] *
             factor[terms[3 * n + which] * CHANNELS + u];
    out[place] = sum;
  }
}
)DEVICE"

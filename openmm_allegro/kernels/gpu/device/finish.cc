R"DEVICE(
// From sums in fixed point to results, means over the members. What is wrong is NaN.
DEVICE double share_of(GLOBAL const int *state, GLOBAL const int *counters, int turn,
                       int members) {
  const int is_wrong = *STATE(state, turn, BAD) || counters[TOO_MANY];
  return is_wrong ? sqrt(-1.0) : 1.0 / members;
}

// The share of an atom's force, which in fixed point has no NaN: its energy has, where the
// force was none.
DEVICE double share_of_force(double share, double energy) {
  return fabs(energy) <= 1.0e300 ? share : sqrt(-1.0);
}

KERNEL LAUNCH_BOUNDS(PLACE_THREADS) void finish(
    GLOBAL const double *RESTRICT energies, GLOBAL const mm_ulong *RESTRICT forces,
    GLOBAL const mm_ulong *RESTRICT strain, GLOBAL const int *RESTRICT state,
    GLOBAL const int *RESTRICT counters, GLOBAL double *RESTRICT to_energies,
    GLOBAL double *RESTRICT to_forces, GLOBAL double *RESTRICT to_strain, int atoms, int turn,
    int members, int wants_forces) {
  const double share = share_of(state, counters, turn, members);
  for (int i = (int)GLOBAL_ID; i < atoms; i += (int)GLOBAL_SIZE) {
    to_energies[i] = share * energies[i];
    const double own = share_of_force(share, energies[i]);
    for (int axis = 0; axis < 3 && wants_forces; ++axis)
      to_forces[3 * i + axis] = own * from_fixed_point(forces[axis * atoms + i]);
  }
  if ((int)GLOBAL_ID == 0 && wants_forces)
    for (int k = 0; k < 9; ++k) to_strain[k] = share * from_fixed_point(strain[k]);
}

)DEVICE"

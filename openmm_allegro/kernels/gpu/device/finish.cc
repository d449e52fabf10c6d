R"DEVICE(
// From sums in fixed point to results, means over the members. What is wrong is NaN.
DEVICE double share_of(GLOBAL const int *state, GLOBAL const int *counters, int turn,
                       int members) {
  const int is_wrong = *STATE(state, turn, BAD) || counters[TOO_MANY];
  return is_wrong ? sqrt(-1.0) : 1.0 / members;
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
    for (int axis = 0; axis < 3 && wants_forces; ++axis)
      to_forces[3 * i + axis] = share * from_fixed_point(forces[axis * atoms + i]);
  }
  if ((int)GLOBAL_ID == 0 && wants_forces)
    for (int k = 0; k < 9; ++k) to_strain[k] = share * from_fixed_point(strain[k]);
}

#ifdef OPENMM
// Add to OpenMM's forces, kJ/mol/nm in its fixed point, and to its energy, kJ/mol.
DEVICE void add_force(GLOBAL mm_ulong *to, double value) {
  ATOMIC_ADD(to, (mm_ulong)(mm_long)(value * 4294967296.0));
}

KERNEL LAUNCH_BOUNDS(ADD_THREADS) void finish_openmm(
    GLOBAL const double *RESTRICT energies, GLOBAL const mm_ulong *RESTRICT forces,
    GLOBAL const mm_ulong *RESTRICT strain, GLOBAL const int *RESTRICT state,
    GLOBAL const int *RESTRICT counters, GLOBAL const int *RESTRICT particles,
    GLOBAL const int *RESTRICT ends, GLOBAL const double *RESTRICT ratios,
    GLOBAL mm_ulong *RESTRICT force_buffers, GLOBAL mixed *RESTRICT energy_buffer,
    int padded, double energy_unit, int atoms, int caps, int turn, int members,
    int wants_forces) {
  const double share = share_of(state, counters, turn, members) * energy_unit;
  double energy = 0.0;
  for (int i = (int)GLOBAL_ID; i < atoms; i += (int)GLOBAL_SIZE) {
    energy += share * energies[i];
    if (!wants_forces) continue;
    const int cap = i - (atoms - caps);
    for (int axis = 0; axis < 3; ++axis) {
      // from eV/Å to kJ/mol/nm
      const double force = 10.0 * share * from_fixed_point(forces[axis * atoms + i]);
      GLOBAL mm_ulong *to = force_buffers + axis * padded;
      if (cap < 0) {
        add_force(to + particles[i], force);
      } else {
        add_force(to + ends[2 * cap], (1.0 - ratios[cap]) * force);
        add_force(to + ends[2 * cap + 1], ratios[cap] * force);
      }
    }
  }
  energy_buffer[GLOBAL_ID] += (mixed)energy;
}
#endif
)DEVICE"

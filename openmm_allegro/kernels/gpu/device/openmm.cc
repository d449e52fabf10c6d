R"DEVICE(
// Add to OpenMM's forces, kJ/mol/nm in its fixed point, and to its energy, kJ/mol.
DEVICE void add_force(GLOBAL mm_ulong *to, double value) {
  ATOMIC_ADD(to, (mm_ulong)(mm_long)(value * 4294967296.0));
}

KERNEL LAUNCH_BOUNDS(ADD_THREADS) void finish_openmm(
    GLOBAL const double *RESTRICT energies, GLOBAL const mm_ulong *RESTRICT forces,
    GLOBAL const mm_ulong *RESTRICT strain, GLOBAL const int *RESTRICT state,
    GLOBAL const int *RESTRICT counters, GLOBAL const int *RESTRICT particles,
    GLOBAL const int *RESTRICT ends, GLOBAL const double *RESTRICT ratios,
    GLOBAL mm_ulong *RESTRICT force_buffers, GLOBAL double *RESTRICT energy_buffer,
    int padded, double energy_unit, int caps, int atoms, int turn, int members,
    int wants_forces) {
  const double share = share_of(state, counters, turn, members) * energy_unit;
  double energy = 0.0;
  for (int i = (int)GLOBAL_ID; i < atoms; i += (int)GLOBAL_SIZE) {
    energy += share * energies[i];
    if (!wants_forces) continue;
    const double own = share_of_force(share, energies[i]);
    const int cap = i - (atoms - caps);
    for (int axis = 0; axis < 3; ++axis) {
      // from eV/Å to kJ/mol/nm
      const double force = 10.0 * own * from_fixed_point(forces[axis * atoms + i]);
      GLOBAL mm_ulong *to = force_buffers + axis * padded;
      if (cap < 0) {
        add_force(to + particles[i], force);
      } else {
        add_force(to + ends[2 * cap], (1.0 - ratios[cap]) * force);
        add_force(to + ends[2 * cap + 1], ratios[cap] * force);
      }
    }
  }
  energy_buffer[GLOBAL_ID] += energy;
}
)DEVICE"

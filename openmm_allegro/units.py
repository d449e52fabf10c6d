# SPDX-License-Identifier: MIT
"""Conversion constants; there are no others in the package, prefixes (kilo) aside.

The model side works in Å and eV, OpenMM in nm and kJ/mol. From the exact SI (2019)
values of the elementary charge, Boltzmann's constant and Avogadro's number,
doi:10.1103/RevModPhys.93.025010.
"""

EV_TO_KJ_PER_MOL = 1.602176634e-19 * 6.02214076e23 / 1000.0  # 96.4853321233...
NM_TO_ANGSTROM = 10.0
KJ_PER_MOL_NM3_TO_BAR = 1e25 / 6.02214076e23  # 16.6053906717...
EV_PER_ANGSTROM_TO_KJ_PER_MOL_NM = EV_TO_KJ_PER_MOL * NM_TO_ANGSTROM
GAS_CONSTANT = 1.380649e-23 * 6.02214076e23 / 1000.0  # kJ/mol/K
# As OpenMM has it for quantum nuclei (CODATA: 1.054571817), in kJ/mol ps.
HBAR = 1.054571628e-34 * 6.02214076e23 / (1000 * 1e-12)
BOLTZMANN_EV = 1.380649e-23 / 1.602176634e-19  # eV/K

# To SI and to the units of tables, for the analysis.
NM_TO_M = 1e-9
NM3_TO_M3 = 1e-27
M2_TO_CM2 = 1e4
BAR_TO_PA = 1e5
MPA_S_TO_PA_S = 1e-3
NM2_PER_PS_TO_M2_PER_S = 1e-6
NM2_PER_PS_TO_CM2_PER_S = 1e-2
# 1 D is 1e-21/c C m, of c without its unit.
E_NM_TO_DEBYE = 1.602176634e-19 * NM_TO_M * 299792458 / 1e-21  # 48.0320471...
THZ_TO_WAVENUMBER = 1e10 / 299792458  # 33.3564095..., in 1/cm

# e²/(4πε0) as OpenMM has it (CODATA 2018).
COULOMB_KJ_MOL_NM = 138.93545764438198

# The same in eV Å as LAMMPS' `units metal` has it (CODATA: 14.39964548). Models with a
# ZBL core were trained with this rounding, and a core of some eV shows the difference.
COULOMB_EV_ANGSTROM = 14.399645

# The same with all digits, for learned charges.
COULOMB_EV_ANGSTROM_CODATA = COULOMB_KJ_MOL_NM / EV_TO_KJ_PER_MOL * NM_TO_ANGSTROM

# Units that the weights of other programs may be in. CODATA 2022 bohr and hartree,
# doi:10.1103/RevModPhys.97.025002; 1 kcal = 4.184 kJ.
LENGTH_UNITS_IN_ANGSTROM = {
    "angstrom": 1.0,
    "nm": NM_TO_ANGSTROM,
    "bohr": 0.529177210544,
}
ENERGY_UNITS_IN_EV = {
    "eV": 1.0,
    "kJ/mol": 1.0 / EV_TO_KJ_PER_MOL,
    "kcal/mol": 4.184 / EV_TO_KJ_PER_MOL,
    "hartree": 27.211386245981,
}
# Of forces, such as "kcal/mol/angstrom".
FORCE_UNITS_IN_EV_PER_ANGSTROM = {
    f"{energy}/{length}": ev / angstrom
    for energy, ev in ENERGY_UNITS_IN_EV.items()
    for length, angstrom in LENGTH_UNITS_IN_ANGSTROM.items()
}
# Of stresses; 1 GPa is 1e9 J/m³.
STRESS_UNITS_IN_EV_PER_ANGSTROM3 = {
    "eV/angstrom^3": 1.0,
    "GPa": 1e-21 / 1.602176634e-19,
    "kbar": 1e-22 / 1.602176634e-19,
    "hartree/bohr^3": 27.211386245981 / 0.529177210544**3,
}

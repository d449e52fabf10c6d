// SPDX-License-Identifier: MIT
// OpenMM's units in those of the kernels.
#pragma once

namespace Allegro {

constexpr double NM_TO_ANGSTROM = 10.0;
constexpr double EV_TO_KJ_PER_MOL = 1.602176634e-19 * 6.02214076e23 / 1000.0;
constexpr double COULOMB_EV_ANGSTROM =  // of two charges e, as units.py has it
    138.93545764438198 / EV_TO_KJ_PER_MOL * NM_TO_ANGSTROM;

}  // namespace Allegro

/* -*- c++ -*- SPDX-License-Identifier: GPL-2.0-or-later */
#ifdef FIX_CLASS
// clang-format off
FixStyle(allegro/flush,FixAllegroFlush);
// clang-format on
#else

#ifndef LMP_FIX_ALLEGRO_FLUSH_H
#define LMP_FIX_ALLEGRO_FLUSH_H

#include <cstdio>

#include "comm.h"
#include "error.h"
#include "fix.h"

namespace LAMMPS_NS {

// All output up to a restart file is written before that file is whole. LAMMPS holds back
// the end of an XTC, which has no dump_modify flush, and a kill would lose it.
class FixAllegroFlush : public Fix {
 public:
  FixAllegroFlush(class LAMMPS *lammps, int narg, char **arg) : Fix(lammps, narg, arg) {
    if (narg != 3)
      error->all(FLERR, "Fix allegro/flush: expected no arguments, found {}", arg[3]);
    restart_global = 1;
  }
  int setmask() override { return 0; }

  // Called while a restart file is written, after the dumps of the step.
  void write_restart(FILE *file) override {
    if (comm->me) return;
    const int bytes = 0;  // of its own state
    fwrite(&bytes, sizeof bytes, 1, file);
    fflush(nullptr);
  }

  // Overridden, or else a LAMMPS of other integers would lack the symbol of Fix's own, and
  // say that rather than the sentence of check_sizes.
  void set_molecule(int, tagint, int, double *, double *, double *) override {}
};

}  // namespace LAMMPS_NS

#endif
#endif

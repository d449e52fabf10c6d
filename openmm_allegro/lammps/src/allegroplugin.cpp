// SPDX-License-Identifier: GPL-2.0-or-later
// The pair style and its fix as a plugin of LAMMPS, in one unit; left out of a build inside
// LAMMPS.
#include "pair_allegro.cpp"
#include "pair_allegro_charges.cpp"
#include "pair_allegro_compute.cpp"

#include "error.h"
#include "fix_allegro_flush.h"
#include "lammps.h"

// As lammpsplugin.h of LAMMPS has them, which packages of LAMMPS do not bring.
extern "C" {
typedef void *(lammpsplugin_factory1)(void *);
typedef void *(lammpsplugin_factory2)(void *, int, char **);
typedef struct {
  const char *version;
  const char *style;
  const char *name;
  const char *info;
  const char *author;
  union {
    lammpsplugin_factory1 *v1;
    lammpsplugin_factory2 *v2;
  } creator;
  void *handle;
} lammpsplugin_t;
typedef void (*lammpsplugin_regfunc)(lammpsplugin_t *, void *);
}

static void *create_pair(void *lammps) {
  return static_cast<Pair *>(new PairAllegro(static_cast<LAMMPS *>(lammps)));
}

static void *create_fix(void *lammps, int narg, char **arg) {
  return static_cast<Fix *>(new FixAllegroFlush(static_cast<LAMMPS *>(lammps), narg, arg));
}

// Refuse a LAMMPS of other integers, whose arrays would be read as what they are not.
static void check_sizes(void *lammps) {
  typedef int Setting(void *, const char *);
  Setting *setting;  // a static lmp may not have it
  void *const address = dlsym(RTLD_DEFAULT, "lammps_extract_setting");
  if (!address) return;
  std::memcpy(&setting, &address, sizeof setting);
  const int ids = setting(lammps, "tagint"), images = setting(lammps, "imageint"),
            steps = setting(lammps, "bigint");
  if (ids == sizeof(tagint) && images == sizeof(imageint) && steps == sizeof(bigint)) return;
  static_cast<LAMMPS *>(lammps)->error->all(
      FLERR,
      "pair_style allegro: expected a LAMMPS whose ids, images and steps have {}, {} and {} "
      "bytes, as the plugin was compiled for, found {}, {} and {}; compile it with the "
      "LAMMPS_SIZES that lmp -h prints (--lammps-sizes)",
      sizeof(tagint), sizeof(imageint), sizeof(bigint), ids, images, steps);
}

// All that the library exports: of two copies in a process, each has its own statics.
extern "C" __attribute__((visibility("default"))) void lammpsplugin_init(
    void *lammps, void *handle, void *registration) {
  check_sizes(lammps);
  lammpsplugin_t plugin;
  plugin.version = static_cast<LAMMPS *>(lammps)->version;
  plugin.style = "pair";
  plugin.name = "allegro";
  plugin.info = "Allegro models of openmm_allegro";
  plugin.author = "openmm_allegro";
  plugin.creator.v1 = create_pair;
  plugin.handle = handle;
  const auto add = reinterpret_cast<lammpsplugin_regfunc>(registration);
  add(&plugin, lammps);
  plugin.style = "fix";
  plugin.name = "allegro/flush";
  plugin.info = "Output is written out before each restart file";
  plugin.creator.v2 = create_fix;
  add(&plugin, lammps);
}

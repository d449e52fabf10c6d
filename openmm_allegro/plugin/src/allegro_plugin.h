// SPDX-License-Identifier: MIT
/// @file
/// C interface of the plugin, for what OpenMM's own interface has no place for. Python
/// calls it by `plugin/library.py`.
///
/// Functions that may fail return 0 or NULL and leave the reason to
/// `allegro_plugin_error`. Arrays are contiguous, the last index fastest.
#ifndef OPENMM_ALLEGRO_PLUGIN_H
#define OPENMM_ALLEGRO_PLUGIN_H

#include <stdint.h>

#include "../../kernels/allegro.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Version of the functions below, and of the XML of forces without charges.
#define ALLEGRO_PLUGIN_VERSION 1
/// Version of the XML of forces with charges, which earlier readers refuse.
#define ALLEGRO_CHARGED_VERSION 2
/// Version of the XML of forces whose charges are among those of a force field.
#define ALLEGRO_EMBEDDED_VERSION 3

/// A force's models with a pair list of their own, outside of any Context.
typedef struct allegro_engine allegro_engine;

/// ALLEGRO_PLUGIN_VERSION that the library was compiled with.
int64_t allegro_plugin_version(void);

/// Reason of the last failure in this thread.
const char *allegro_plugin_error(void);

/// Compute with the kernels of a library that has the functions of `allegro.h`; 1 if it
/// has them. Engines and Contexts that were made before keep theirs.
int64_t allegro_plugin_use_kernels(const char *path);

/// Fill the two-body table of a program that has been checked, with arrays of so many
/// integers, constants and weights, whose precision the table has; 1 if it is filled, 0 if
/// the kernels have to do it.
typedef int64_t (*allegro_fill_table)(const allegro_program *program, int64_t integers,
                                      int64_t constants, int64_t weights,
                                      int64_t intervals, int64_t threads, void *table);

/// Fill tables by an allegro_fill_table from now on; NULL: by the kernels.
void allegro_plugin_fill_tables_by(void *function);

/// Why the AllegroForce of the Context that this thread made last is not computed on the
/// card of its Platform but on the processor; empty if it is.
const char *allegro_plugin_obstacle(void);

/// 1 if an OpenMM::Force is an AllegroForce.
int64_t allegro_plugin_is_force(const void *force);

/// Make an engine of an AllegroForce, with as many threads as given or fewer; 0: as many
/// as OPENMM_CPU_THREADS says, or cores.
allegro_engine *allegro_engine_open(const void *force, int64_t threads);

/// Number of atoms of the models without caps, of caps, and of models.
void allegro_engine_sizes(const allegro_engine *engine, int64_t *sizes);

/// Particle of each atom, without caps.
void allegro_engine_particles(const allegro_engine *engine, int64_t *particles);

/// Compute means over the models at `positions` [particles, 3] (nm) and box vectors
/// `box` [3, 3] (nm): energies of atoms and caps (eV), `forces` [atoms, 3] (eV/Å), those
/// on caps where they act, on particles outside of the region not, and the derivative
/// `strain` [3, 3] of the energy by the strain (eV). NULL leaves out `forces`, and
/// `strain` with it; 1 if all went well.
int64_t allegro_engine_run(allegro_engine *engine, int64_t particles,
                           const double *positions, const double *box, double *energies,
                           double *forces, double *strain);

/// Compute the deviation of the force on each of the atoms over the models (M - 1),
/// [atoms], eV/Å; arguments as above.
int64_t allegro_engine_deviation(allegro_engine *engine, int64_t particles,
                                 const double *positions, const double *box,
                                 double *deviation);

/// Compute the derivative of the energy by the strain for each of the atoms, as `virials`
/// of `allegro.h`, means over the models: [atoms, 3, 3], eV; arguments as above. Models
/// with caps are refused.
int64_t allegro_engine_virials(allegro_engine *engine, int64_t particles,
                               const double *positions, const double *box,
                               double *virials);

/// 1 if the atoms have charges.
int64_t allegro_engine_is_charged(const allegro_engine *engine);

/// Compute the charges of the atoms, means over the models: [atoms], e; arguments as above.
/// Models without charges and those with caps are refused.
int64_t allegro_engine_charges(allegro_engine *engine, int64_t particles,
                               const double *positions, const double *box,
                               double *charges);

/// How often the list of pairs was built.
int64_t allegro_engine_rebuilds(const allegro_engine *engine);

/// Find the ordered pairs within `reach` as an engine does, for tests: the number of them,
/// -1 on failure. Centre, neighbour and image [3] of the first `room` go to `pairs`.
/// `positions` [count, 3] and `box` [3, 3], rows being box vectors, are in one unit.
int64_t allegro_plugin_pairs(int64_t count, const double *positions, const double *box,
                             int64_t periodic, double reach, int64_t threads,
                             int64_t room, int64_t *pairs);

/// Free what allegro_engine_open made.
void allegro_engine_close(allegro_engine *engine);

#ifdef __cplusplus
}
#endif

#endif

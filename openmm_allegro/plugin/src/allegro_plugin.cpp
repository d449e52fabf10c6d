// SPDX-License-Identifier: MIT
// What OpenMM calls when it loads the plugin, and the functions of allegro_plugin.h.

// What is declared there is what the library exports, beside what OpenMM asks for.
#pragma GCC visibility push(default)
#include "allegro_plugin.h"
#pragma GCC visibility pop

#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "serialization.h"

using namespace Allegro;

namespace {

thread_local std::string failure;

// What f returns, or `otherwise` after an exception.
template <typename F> auto guarded(decltype(std::declval<F>()()) otherwise, const F &f) {
  try {
    return with_memory(f);
  } catch (const std::exception &error) {
    failure = error.what();
    return otherwise;
  }
}

const AllegroForce *as_allegro(const void *force) {
  return dynamic_cast<const AllegroForce *>(static_cast<const OpenMM::Force *>(force));
}

Engine &as_engine(const allegro_engine *engine) {
  return *reinterpret_cast<Engine *>(const_cast<allegro_engine *>(engine));
}

__attribute__((constructor)) void register_proxy() {
  OpenMM::SerializationProxy::registerProxy(typeid(AllegroForce), new AllegroForceProxy());
}

}  // namespace

extern "C" {

// OpenMM asks each plugin for these; kernels for cards have libraries of their own.
__attribute__((visibility("default"))) void registerPlatforms() {}
__attribute__((visibility("default"))) void registerKernelFactories() {}

int64_t allegro_plugin_version(void) { return ALLEGRO_PLUGIN_VERSION; }

const char *allegro_plugin_error(void) { return failure.c_str(); }

int64_t allegro_plugin_use_kernels(const char *path) {
  return guarded<>(int64_t(0), [&] {
    ChosenKernels::set(load_kernels(path));
    return int64_t(1);
  });
}

void allegro_plugin_fill_tables_by(void *function) {
  Tables::fill_by(reinterpret_cast<allegro_fill_table>(function));
}

const char *allegro_plugin_obstacle(void) { return obstacle_of_last_context().c_str(); }

int64_t allegro_plugin_is_force(const void *force) { return as_allegro(force) != nullptr; }

allegro_engine *allegro_engine_open(const void *force, int64_t threads) {
  return guarded<>(static_cast<allegro_engine *>(nullptr), [&] {
    const AllegroForce *allegro = as_allegro(force);
    if (!allegro) throw OpenMM::OpenMMException("expected an AllegroForce, found another");
    const int number = threads > 0 ? int(threads) : default_threads();
    return reinterpret_cast<allegro_engine *>(new Engine(allegro->models, number));
  });
}

void allegro_engine_sizes(const allegro_engine *engine, int64_t *sizes) {
  const Models &models = *as_engine(engine).models;
  sizes[0] = int64_t(models.particles.size());
  sizes[1] = int64_t(models.caps.size());
  sizes[2] = int64_t(models.members.size());
}

void allegro_engine_particles(const allegro_engine *engine, int64_t *particles) {
  const Models &models = *as_engine(engine).models;
  std::copy(models.particles.begin(), models.particles.end(), particles);
}

int64_t allegro_engine_run(allegro_engine *engine, int64_t particles,
                           const double *positions, const double *box, double *energies,
                           double *forces, double *strain) {
  return guarded<>(int64_t(0), [&] {
    Engine &own = as_engine(engine);
    own.models->check_particles(particles);
    Results results;
    own.run(positions, box, forces != nullptr, results);
    std::copy(results.energies.begin(), results.energies.end(), energies);
    if (!forces) return int64_t(1);
    std::vector<OpenMM::Vec3> everywhere(particles);
    own.add_forces(results, 1.0, everywhere);
    for (const int64_t particle : own.models->particles)
      for (int axis = 0; axis < 3; ++axis) *forces++ = everywhere[particle][axis];
    std::copy(results.strain, results.strain + 9, strain);
    return int64_t(1);
  });
}

int64_t allegro_engine_deviation(allegro_engine *engine, int64_t particles,
                                 const double *positions, const double *box,
                                 double *deviation) {
  return guarded<>(int64_t(0), [&] {
    Engine &own = as_engine(engine);
    own.models->check_particles(particles);
    const std::vector<double> deviations = own.deviation(positions, box);
    std::copy(deviations.begin(), deviations.end(), deviation);
    return int64_t(1);
  });
}

int64_t allegro_engine_virials(allegro_engine *engine, int64_t particles,
                               const double *positions, const double *box,
                               double *virials) {
  return guarded<>(int64_t(0), [&] {
    Engine &own = as_engine(engine);
    own.models->check_particles(particles);
    const std::vector<double> all = own.virials(positions, box);
    std::copy(all.begin(), all.end(), virials);
    return int64_t(1);
  });
}

int64_t allegro_engine_is_charged(const allegro_engine *engine) {
  return as_engine(engine).models->is_charged();
}

int64_t allegro_engine_charges(allegro_engine *engine, int64_t particles,
                               const double *positions, const double *box,
                               double *charges) {
  return guarded<>(int64_t(0), [&] {
    Engine &own = as_engine(engine);
    own.models->check_particles(particles);
    const std::vector<double> all = own.charges(positions, box);
    std::copy(all.begin(), all.end(), charges);
    return int64_t(1);
  });
}

int64_t allegro_engine_rebuilds(const allegro_engine *engine) {
  return as_engine(engine).rebuilds();
}

int64_t allegro_plugin_pairs(int64_t count, const double *positions, const double *box,
                             int64_t periodic, double reach, int64_t threads, int64_t room,
                             int64_t *pairs) {
  return guarded<>(int64_t(-1), [&] {
    Team team{int(threads)};
    PairList list(reach, 0.0, periodic != 0);
    list.update(count, positions, box, team);
    int64_t pair = 0;
    for (int64_t i = 0; i < count; ++i)
      for (; pair < list.offsets[i + 1] && pair < room; ++pair) {
        int64_t *row = pairs + 5 * pair;
        row[0] = i, row[1] = list.neighbors[pair];
        for (int k = 0; k < 3; ++k) row[2 + k] = list.shifts[3 * pair + k];
      }
    return list.offsets[count];
  });
}

void allegro_engine_close(allegro_engine *engine) { delete &as_engine(engine); }

}  // extern "C"

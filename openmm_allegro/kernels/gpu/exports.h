// SPDX-License-Identifier: MIT
// The functions of allegro_gpu.h that run steps. Included by allegro_gpu.cpp.
#pragma once

#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "step.h"

namespace allegro_gpu {

// The outcome of f(), with what was wrong in the message.
template <typename F> int64_t outcome_of(const F &f, char *message, int64_t room) {
  const auto tell = [&](const char *text) {
    if (message && room > 0) std::snprintf(message, size_t(room), "%s", text);
  };
  try {
    tell("");
    f();
    return ALLEGRO_OK;
  } catch (const std::bad_alloc &) {
    tell("Allegro: expected more memory of the card, found too little; fewer atoms, a smaller "
         "skin or cutoff, or a larger card");
    return ALLEGRO_NO_MEMORY;
  } catch (const std::exception &problem) {
    tell(problem.what());
    return ALLEGRO_REFUSED;
  }
}

inline Step &as_step(allegro_gpu_engine *engine) { return *reinterpret_cast<Step *>(engine); }

}  // namespace allegro_gpu

allegro_gpu_engine *allegro_gpu_open_tuned(const allegro_gpu_device *device,
                                           const allegro_gpu_atoms *atoms,
                                           const allegro_gpu_tuning *tuning, char *message,
                                           int64_t room) {
  allegro_gpu::Step *step = nullptr;
  const allegro_gpu::Emitter emitter = {allegro_gpu_plan, allegro_gpu_emit};
  const auto open = [&] { step = new allegro_gpu::Step(*device, *atoms, emitter, *tuning); };
  allegro_gpu::outcome_of(open, message, room);
  return reinterpret_cast<allegro_gpu_engine *>(step);
}

allegro_gpu_engine *allegro_gpu_open(const allegro_gpu_device *device,
                                     const allegro_gpu_atoms *atoms, char *message,
                                     int64_t room) {
  const allegro_gpu_tuning none = {};
  return allegro_gpu_open_tuned(device, atoms, &none, message, room);
}

int64_t allegro_gpu_step_member(allegro_gpu_engine *engine, int64_t member,
                                const allegro_gpu_input *input,
                                const allegro_gpu_output *output, char *message,
                                int64_t room) {
  const auto run = [&] { allegro_gpu::as_step(engine).run(*input, *output, member); };
  return allegro_gpu::outcome_of(run, message, room);
}

int64_t allegro_gpu_step(allegro_gpu_engine *engine, const allegro_gpu_input *input,
                         const allegro_gpu_output *output, char *message, int64_t room) {
  return allegro_gpu_step_member(engine, -1, input, output, message, room);
}

int64_t allegro_gpu_finish(allegro_gpu_engine *engine, int32_t *counters, char *message,
                           int64_t room) {
  const auto wait = [&] { allegro_gpu::as_step(engine).wait(counters); };
  return allegro_gpu::outcome_of(wait, message, room);
}

int64_t allegro_gpu_rows(const allegro_gpu_engine *engine) {
  return reinterpret_cast<const allegro_gpu::Step *>(engine)->most_rows();
}

void allegro_gpu_close(allegro_gpu_engine *engine) {
  delete reinterpret_cast<allegro_gpu::Step *>(engine);
}

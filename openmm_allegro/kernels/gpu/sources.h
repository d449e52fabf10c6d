// SPDX-License-Identifier: MIT
// The texts of the kernels that all models share, and the numbers that they name.
#pragma once

#include <cstdint>
#include <string>

#include "../long_range.h"
#include "members.h"
#include "messages.h"

namespace allegro_gpu {

// Threads of a work-group of `list`, and how many teams they are; of `place`, `bin` and
// `finish`; and of what adds to OpenMM's forces.
constexpr int64_t LIST_THREADS = 256, TEAMS = 32, PLACE_THREADS = 128, ADD_THREADS = 64;
constexpr int64_t SMALL_CHUNK = 32, LARGEST_CHUNK = 64;  // centres of a work-group of `list`
// Threads of a work-group, those of the one that takes sums, and complex numbers and factors
// of a line that is transformed.
constexpr int64_t FIELD_THREADS = 128, LEVEL_THREADS = 256, LINE_ROOM = 1024;
constexpr int64_t LINE_FACTORS = 12;

// Names of numbers in the texts of kernels, after what a platform of OpenMM has to say.
inline std::string numbers_after(const std::string &surroundings) {
  const struct {
    const char *name;
    int64_t value;
  } numbers[] = {{"LIST_THREADS", LIST_THREADS},
                 {"TEAMS", TEAMS},
                 {"PLACE_THREADS", PLACE_THREADS},
                 {"ADD_THREADS", ADD_THREADS},
                 {"FIELD_THREADS", FIELD_THREADS},
                 {"LEVEL_THREADS", LEVEL_THREADS},
                 {"LINE_ROOM", LINE_ROOM},
                 {"LINE_FACTORS", LINE_FACTORS},
                 {"SPLINE_ORDER", ALLEGRO_USUAL_ORDER},
                 {"LARGEST_CHUNK", LARGEST_CHUNK},
                 {"LARGEST_ROWS", LARGEST_ROWS},
                 {"MOST_NEIGHBORS", MOST_NEIGHBORS},
                 {"REBUILD", ALLEGRO_GPU_REBUILD},
                 {"NOT_FINITE", ALLEGRO_GPU_NOT_FINITE},
                 {"BAD_BOX", ALLEGRO_GPU_BAD_BOX},
                 {"LARGEST_COUNT", ALLEGRO_GPU_LARGEST_COUNT},
                 {"GROUPS_MADE", ALLEGRO_GPU_GROUPS},
                 {"WIDE_MADE", ALLEGRO_GPU_WIDE},
                 {"TOO_MANY", ALLEGRO_GPU_TOO_MANY},
                 {"REBUILDS", ALLEGRO_GPU_REBUILDS},
                 {"STEPS", ALLEGRO_GPU_STEPS},
                 {"LARGEST_DEGREE", ALLEGRO_GPU_LARGEST_DEGREE}};
  std::string text = surroundings;
  for (const auto &[name, value] : numbers)
    text += "#define " + std::string(name) + " " + std::to_string(value) + "\n";
  return text;
}

// The text of the step's kernels.
inline std::string step_source(const std::string &surroundings) {
  const char *const parts[] = {
#include "device/dialect.cc"
      ,
#include "device/search.cc"
      ,
#include "device/place.cc"
      ,
#include "device/list.cc"
      ,
#include "device/finish.cc"
  };
  const char *const adding =
#include "device/openmm.cc"
      ;
  std::string source = numbers_after(surroundings);
  for (const char *part : parts) source += part;
  return surroundings.empty() ? source : source + adding;
}

// The text of the field's kernels.
inline std::string field_source(const std::string &numbers) {
  const char *const parts[] = {
#include "device/dialect.cc"
      ,
#include "device/search.cc"
      ,
#include "device/charges.cc"
      ,
#include "device/mesh.cc"
      ,
#include "device/waves.cc"
  };
  std::string source = numbers;
  for (const char *part : parts) source += part;
  return source;
}

}  // namespace allegro_gpu

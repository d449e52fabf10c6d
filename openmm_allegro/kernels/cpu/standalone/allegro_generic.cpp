// SPDX-License-Identifier: MIT
// The kernels for all processors, with names of their own.
#define WIDTH 16
#define ROWS 4
#define ALLEGRO_NAME(name) name##_generic
#include "renamed.h"

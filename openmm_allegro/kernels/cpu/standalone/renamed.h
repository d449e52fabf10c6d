// SPDX-License-Identifier: MIT
// The kernels under other names, for programs that compile them in, once for each
// instruction set, and choose when they run. ALLEGRO_NAME(name) gives the name.
//
// The sources beside this one say what they are compiled for, so they need no flags but
// -std=c++17; with -O3 -fno-math-errno -fno-trapping-math they are up to 5 % faster, and
// give the same numbers. Flags such as -mavx512f would be wrong: linkers keep one copy of
// a function of the standard library for all sources, and the others' processors may not
// run it. Hence that library is included before an instruction set is chosen.

#include "../standard.h"

#ifndef __clang__
#pragma GCC optimize("O3", "no-math-errno", "no-trapping-math")
#endif

#define allegro_format ALLEGRO_NAME(allegro_format)
#define allegro_interface ALLEGRO_NAME(allegro_interface)
#define allegro_check ALLEGRO_NAME(allegro_check)
#define allegro_cutoff ALLEGRO_NAME(allegro_cutoff)
#define allegro_open ALLEGRO_NAME(allegro_open)
#define allegro_run ALLEGRO_NAME(allegro_run)
#define allegro_run_threads ALLEGRO_NAME(allegro_run_threads)
#define allegro_close ALLEGRO_NAME(allegro_close)
#define allegro_two_body ALLEGRO_NAME(allegro_two_body)
#define allegro_tabulate ALLEGRO_NAME(allegro_tabulate)
#define allegro_table_errors ALLEGRO_NAME(allegro_table_errors)
#define allegro_contract ALLEGRO_NAME(allegro_contract)
#define allegro_contract_weights ALLEGRO_NAME(allegro_contract_weights)
#define allegro_project ALLEGRO_NAME(allegro_project)
#define allegro_spread ALLEGRO_NAME(allegro_spread)
#define allegro_meet ALLEGRO_NAME(allegro_meet)
#define allegro_mesh_open ALLEGRO_NAME(allegro_mesh_open)
#define allegro_mesh_sum ALLEGRO_NAME(allegro_mesh_sum)
#define allegro_mesh_points ALLEGRO_NAME(allegro_mesh_points)
#define allegro_mesh_close ALLEGRO_NAME(allegro_mesh_close)
#define allegro_fourier ALLEGRO_NAME(allegro_fourier)

#include "../allegro_cpu.cpp"

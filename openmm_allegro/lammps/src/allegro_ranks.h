// SPDX-License-Identifier: GPL-2.0-or-later
// Steps that all ranks take together: the failure of one ends all of them, in one sentence.
#ifndef ALLEGRO_RANKS_H
#define ALLEGRO_RANKS_H

#include <mpi.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>

namespace openmm_allegro {

constexpr const char *NO_MEMORY =
    "expected more memory, found none left; use more nodes or fewer ranks a node";

// Copy bytes of rank 0 to all ranks.
inline void broadcast(MPI_Comm world, void *data, size_t bytes) {
  constexpr size_t MOST = size_t(1) << 30;  // counts of MPI are int
  for (char *at = static_cast<char *>(data); bytes;) {
    const size_t part = std::min(bytes, MOST);
    MPI_Bcast(at, static_cast<int>(part), MPI_BYTE, 0, world);
    at += part, bytes -= part;
  }
}

inline void broadcast(MPI_Comm world, std::string &text) {
  int64_t size = static_cast<int64_t>(text.size());
  broadcast(world, &size, sizeof size);
  text.resize(static_cast<size_t>(size));
  if (size) broadcast(world, &text[0], text.size());
}

// Throw the problem of the first rank that has one on all ranks.
inline void agree(MPI_Comm world, std::string problem) {
  int me, ranks, first;
  MPI_Comm_rank(world, &me);
  MPI_Comm_size(world, &ranks);
  int own = problem.empty() ? ranks : me;
  MPI_Allreduce(&own, &first, 1, MPI_INT, MPI_MIN, world);
  if (first == ranks) return;
  if (first && me == first) problem += " (on rank " + std::to_string(first) + ")";
  int size = static_cast<int>(problem.size());
  MPI_Bcast(&size, 1, MPI_INT, first, world);
  problem.resize(static_cast<size_t>(size));
  MPI_Bcast(&problem[0], size, MPI_CHAR, first, world);
  throw std::runtime_error(problem);
}

// Call f on each rank; if it throws on one, throw the same on all. f must not wait for
// other ranks.
template <typename F> void together(MPI_Comm world, const F &f) {
  std::string problem;
  try {
    f();
  } catch (const std::bad_alloc &) {
    problem = NO_MEMORY;
  } catch (const std::length_error &) {  // of a vector
    problem = NO_MEMORY;
  } catch (const std::exception &error) {
    problem = error.what();
  }
  agree(world, problem);
}

}  // namespace openmm_allegro

#endif

// SPDX-License-Identifier: MIT
/// @file
/// C interface of the compiled sums over charges, in the form of `allegro.h`. Lengths are in
/// Å, energies in eV, charges in e; arrays are in C's order.
#ifndef OPENMM_ALLEGRO_LONG_RANGE_H
#define OPENMM_ALLEGRO_LONG_RANGE_H
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

/// Smallest order of the splines that spread charges on a mesh.
#define ALLEGRO_LEAST_ORDER 4
/// Largest order of them.
#define ALLEGRO_MOST_ORDER 8
/// Order with which forces on charges of 0.4 e are right to 1e-5 eV/Å at the usual spacing.
#define ALLEGRO_USUAL_ORDER 7
/// The usual spacing between points of a mesh, in percent of 1 / alpha.
#define ALLEGRO_USUAL_SPACING 38
/// Largest number of points of a mesh, which take 2 GB.
#define ALLEGRO_MOST_POINTS 268435456

/// Gaussian charges and how they are summed. Where they are periodic, the waves of their
/// density are summed on a mesh, by smooth particle mesh Ewald (doi:10.1063/1.470117), less
/// the energy of each charge in its own field. The mean of the field is left out, so a net
/// charge has a uniform background. Where they are not, the sum is over pairs of
/// q_i q_j erf(alpha r) / r, to which a large box tends.
typedef struct allegro_charges {
  /// Number of charges.
  int64_t count;
  /// Positions [count, 3], Å, in any image of the box.
  const double *positions;
  /// Box vectors [3, 3], one in a row, Å; zeros or NULL: not periodic.
  const double *cell;
  /// Charges [count], e.
  const double *charges;
  /// Energy of two point charges e that are 1 Å apart, eV Å.
  double coulomb;
  /// Inverse width of the charges: density ~ exp(-2 alpha^2 r^2), 1/Å.
  double alpha;
  /// Largest distance between points of the mesh along each box vector, Å. 0: the usual one.
  double spacing;
  /// Order of the splines, which spread a charge over so many points along each vector.
  int64_t order;
} allegro_charges;

/// Where the results of a sum go; all are overwritten.
typedef struct allegro_field {
  /// Energy [1], eV.
  double *energy;
  /// Derivatives of the energy by the charges [count], V. NULL: not wanted.
  double *potentials;
  /// Forces at fixed charges [count, 3], eV/Å. NULL: not wanted; without potentials, forces
  /// and strain a sum takes about half as long.
  double *forces;
  /// Derivative of the energy by the strain at fixed charges [3, 3], eV. NULL: not wanted.
  double *strain;
} allegro_field;

/// A mesh and its tables, which are kept between sums and made anew for another mesh. The
/// mesh takes about 8 bytes for each of its points. One thread at a time may use it.
typedef struct allegro_mesh allegro_mesh;

/// Make a mesh of no points; NULL for lack of memory.
allegro_mesh *allegro_mesh_open(void);
/// Sum over charges on so many threads or fewer. Results do not depend on the number of
/// threads; of positions that are not finite all are NaN. Refused: a box without volume,
/// and an alpha, spacing or order out of range. Forces and strain are the derivatives of the
/// energy on the mesh, so that the sum of all forces is not zero, but as small as their
/// errors; the energy jumps by its error where a changed box has other numbers of points.
int64_t allegro_mesh_sum(allegro_mesh *mesh, const allegro_charges *charges, int64_t threads,
                         const allegro_field *field);
/// Find the points [3] of the mesh along each box vector: even numbers, products of 2, 3, 5
/// and 7. Outcomes as of a sum.
int64_t allegro_mesh_points(const allegro_charges *charges, int64_t *points);
/// Free what allegro_mesh_open made.
void allegro_mesh_close(allegro_mesh *mesh);

/// Transform [rows, length] numbers x: X_k = sum of x_j exp(-2 pi i j k / length), for tests.
/// Where they are real, which takes an even length, `imaginary` is written only, and of both
/// the first length / 2 + 1 of each row. Refused: lengths with other factors than 2, 3, 5, 7.
int64_t allegro_fourier(int64_t rows, int64_t length, int64_t is_real, double *real,
                        double *imaginary);
#ifdef __cplusplus
}
#endif
#endif

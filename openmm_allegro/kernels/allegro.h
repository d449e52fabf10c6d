// SPDX-License-Identifier: MIT
/// @file
/// C interface of the compiled kernels, and the layout of a model folded to a program.
/// This file is the only description of both. C++ includes it and Python reads it
/// (`kernels/header.py`), so every declaration keeps its form: one field a line, with its
/// sentence above it. Lengths are in Å, energies in eV; arrays are in C's order.
#ifndef OPENMM_ALLEGRO_H
#define OPENMM_ALLEGRO_H
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
/// Version of the program's layout. Serialized Systems hold programs, so raise it only
/// where an array or an operation changes.
#define ALLEGRO_FORMAT 3
/// Version of the functions and structs below. Libraries of another one are not used.
#define ALLEGRO_INTERFACE 6
/// Bytes of a row of a panel of packed weights, the same for all instruction sets.
#define ALLEGRO_PANEL 128
/// Bytes to which the tensor channels of one component are padded.
#define ALLEGRO_CHANNELS 64
/// Width of the transition at an inner cutoff, in percent of it; see allegro_inner.
#define ALLEGRO_INNER_WIDTH 10

// ---------------------------------------------------------------- the program of a model
// An ordered pair of atoms is a row of numbers. The program is a list of operations on
// such rows; each reads segments of the row and writes one. A segment is named by the
// column where it starts and is padded to whole panels. The derivatives of the energy by a
// row have the same columns, and the operations in reverse order give them. A matrix
// [depth, width] of the weights is packed: its columns are cut into panels of
// ALLEGRO_PANEL bytes, and each panel is stored row by row.

/// Codes of the operations.
enum allegro_code {
  ALLEGRO_LINEAR = 0, ALLEGRO_ACTIVATION = 1, ALLEGRO_TYPES = 2,
  ALLEGRO_SPLINE = 3, ALLEGRO_TENSOR = 4, ALLEGRO_ENERGY = 5, ALLEGRO_CHARGE = 6,
  ALLEGRO_INNER = 7
};
/// Nonlinearities of an activation.
enum allegro_nonlinearity { ALLEGRO_SILU = 0, ALLEGRO_MISH = 1, ALLEGRO_GELU = 2 };

/// Any operation: the struct of its code, which follows, and then zeros.
typedef struct allegro_operation {
  /// Which of enum allegro_code.
  int64_t code;
  /// Other fields of that struct.
  int64_t rest[7];
} allegro_operation;

/// target (+)= source · matrix.
typedef struct allegro_linear {
  /// ALLEGRO_LINEAR.
  int64_t code;
  /// Column where the input starts; it may lie within a segment.
  int64_t source;
  /// Numbers of the input.
  int64_t depth;
  /// Column where the output starts.
  int64_t target;
  /// Numbers of the output.
  int64_t width;
  /// Start of the packed matrix [depth, width] in the weights.
  int64_t forward;
  /// Start of the packed transposed matrix [width, depth] in the weights.
  int64_t backward;
  /// 1 to add to what the target holds, 0 to overwrite it.
  int64_t add;
} allegro_linear;

/// x becomes f(x), and f'(x) is kept for the way back.
typedef struct allegro_activation {
  /// ALLEGRO_ACTIVATION.
  int64_t code;
  /// Which of enum allegro_nonlinearity.
  int64_t kind;
  /// Column where x starts.
  int64_t target;
  /// Numbers of x, with its padding.
  int64_t width;
  /// Column where f'(x) starts.
  int64_t slope;
} allegro_activation;

/// x is multiplied by numbers that the elements of the pair choose.
typedef struct allegro_types {
  /// ALLEGRO_TYPES.
  int64_t code;
  /// Column where x starts.
  int64_t target;
  /// Numbers of x.
  int64_t width;
  /// Start of the factors [types, types, width] in the weights, centre first.
  int64_t weights;
} allegro_types;

/// target = radial functions · a matrix that the elements of the pair choose.
typedef struct allegro_spline {
  /// ALLEGRO_SPLINE.
  int64_t code;
  /// Column where the output starts.
  int64_t target;
  /// Numbers of the output.
  int64_t width;
  /// Start of the matrices [types, types, radial, width] in the weights, centre first.
  int64_t weights;
} allegro_spline;

/// Sum a layer's environment of the centre, make its operator, and project each pair's
/// tensor features onto the chain of operators: one scalar a channel.
typedef struct allegro_tensor {
  /// ALLEGRO_TENSOR.
  int64_t code;
  /// Which layer, from 0.
  int64_t layer;
  /// Column of the weights [degrees, channels] of the pair's tensor features.
  int64_t tensor;
  /// Column of the weights [degrees, channels] of the pair's part of the environment.
  int64_t environment;
  /// Column where the scalars [channels] start.
  int64_t target;
} allegro_tensor;

/// The pair's energy, over the factor of the centre's element, gains source · weights.
typedef struct allegro_energy {
  /// ALLEGRO_ENERGY.
  int64_t code;
  /// Column where the input starts.
  int64_t source;
  /// Numbers of the input.
  int64_t width;
  /// Start of the vector [width], with padding, in the weights.
  int64_t weights;
} allegro_energy;

/// The charge of the pair's centre, e, gains source · weights. Only models whose charges
/// are learned have it.
typedef struct allegro_charge {
  /// ALLEGRO_CHARGE.
  int64_t code;
  /// Column where the input starts.
  int64_t source;
  /// Numbers of the input.
  int64_t width;
  /// Start of the vectors [types, width], each with padding, in the weights: the centre's
  /// element chooses.
  int64_t weights;
} allegro_charge;

/// Inner cutoffs c: the radial functions and the table take a distance r as it is from c on.
/// From c - w to c, w being the width of the transition, they take c - w S in its place, with
/// S = 1/2 - u^3 + u^4 / 2 and u = (r - c + w) / w, and below that c - w / 2. The pair core
/// always takes r. Only the first operation of a program can be this one, and nothing is run.
typedef struct allegro_inner {
  /// ALLEGRO_INNER.
  int64_t code;
  /// Start of the inner cutoffs [types, types], Å, in the weights; 0 for none.
  int64_t weights;
} allegro_inner;

/// Sizes, columns and options: the first of the integers.
typedef struct allegro_header {
  /// ALLEGRO_FORMAT of the program.
  int64_t format;
  /// Columns of a row.
  int64_t stride;
  /// Components of the spherical harmonics of a pair, all degrees together.
  int64_t components;
  /// Tensor channels, with padding.
  int64_t channels;
  /// Elements that the model knows.
  int64_t types;
  /// Tensor products.
  int64_t layers;
  /// Radial functions.
  int64_t radial;
  /// 1 if the radial functions are splines, 0 if they are Bessel functions.
  int64_t spline;
  /// 1 if the roots of the Bessel functions are 1, 2, 3 and so on.
  int64_t integer_roots;
  /// Terms A exp(-b r) / r of the pair core, the repulsion of nuclei among them.
  int64_t core;
  /// Column of the radial functions.
  int64_t basis;
  /// Column of their derivatives by x = r / cutoff.
  int64_t slope;
  /// Column of the spherical harmonics.
  int64_t harmonic;
  /// Operations of the program.
  int64_t operations;
  /// Monomials that the spherical harmonics are sums of.
  int64_t terms;
  /// Largest number of components in the tensor track, at least `components`.
  int64_t widest;
  /// Operations that depend on the distance and the elements alone: the first ones.
  int64_t stage;
  /// Column where the results of those operations start that later ones read.
  int64_t first;
  /// Numbers of those results.
  int64_t first_width;
  /// Intervals of the two-body table, 0 without one.
  int64_t points;
  /// Start of the two-body table in the weights.
  int64_t table;
} allegro_header;

/// A monomial c x^i y^j z^k of a spherical harmonic, its coefficient c being a constant.
typedef struct allegro_term {
  /// Component of the spherical harmonics to which it belongs.
  int64_t component;
  /// Power of x.
  int64_t x;
  /// Power of y.
  int64_t y;
  /// Power of z.
  int64_t z;
} allegro_term;

/// A tensor product, followed by its entries.
typedef struct allegro_layer {
  /// Components of the features that enter: rows of the centre's operator.
  int64_t dim_in;
  /// Components of the features that leave: columns of the centre's operator.
  int64_t dim_out;
  /// Couplings that are not zero.
  int64_t entries;
  /// Start of the couplings [entries, channels] in the weights.
  int64_t weights;
} allegro_layer;

/// Indices of a coupling that is not zero.
typedef struct allegro_entry {
  /// Row of the operator.
  int64_t row;
  /// Column of the operator.
  int64_t column;
  /// Component of the environment.
  int64_t environment;
} allegro_entry;

/// Arrays of the integers after the allegro_header: type, name, length and meaning. For
/// each layer an allegro_layer and its `entries` of allegro_entry follow.
#define ALLEGRO_INTEGERS(X)                                                           \
  X(int64_t, degree, components, "Number of each component's degree, from 0")         \
  X(allegro_operation, operation, operations, "Operations, in the order of running")  \
  X(allegro_term, term, terms, "Monomials of the spherical harmonics")

/// Numbers that all pairs share: the first of the constants.
typedef struct allegro_scalars {
  /// Exponent of the envelope, or width of a spline as a fraction of the cutoff.
  double envelope_p;
  /// Exponent of the envelope of the pair core.
  double core_p;
  /// Start of the two-body table, as a fraction of the cutoff.
  double table_from;
} allegro_scalars;

/// Arrays of the constants after the allegro_scalars: type, name, length and meaning.
#define ALLEGRO_CONSTANTS(X)                                                          \
  X(double, norm, types, "Factor of the environment of a centre of each element")     \
  X(double, factors, types, "Factor of the energies of each centre's pairs, eV")      \
  X(double, shifts, types, "Energy of an atom without neighbours, eV")                \
  X(double, cutoffs, types * types, "Cutoff of each ordered pair, centre first, Å")   \
  X(double, core_strengths, types * types * core, "A of the core's terms, eV Å")      \
  X(double, core_rates, types * types * core, "b of the core's terms, 1/Å")           \
  X(double, roots, radial, "Roots of the Bessel functions, or where splines start")   \
  X(double, term_value, terms, "Coefficient of each monomial")

/// A model as three arrays, which must outlive what is opened with them.
typedef struct allegro_program {
  /// An allegro_header, ALLEGRO_INTEGERS and the layers.
  const int64_t *integers;
  /// An allegro_scalars and ALLEGRO_CONSTANTS.
  const double *constants;
  /// Weights as the operations name them, float or double. A table is last: cubics of t,
  /// 0 to 1, [types, types, points, 4, first_width], the constant term first.
  const void *weights;
  /// 1 if the weights are double and the network runs in double precision.
  int64_t is_double;
} allegro_program;

// -------------------------------------------------------------------- running a program
/// Atoms and their pairs, grouped by centre. Pairs beyond their cutoff do not matter.
typedef struct allegro_atoms {
  /// Number of atoms.
  int64_t count;
  /// Positions [count, 3], Å.
  const double *positions;
  /// Box vectors [3, 3], one in a row, Å.
  const double *cell;
  /// Element of each atom [count], as the model numbers them.
  const int64_t *types;
  /// Where the pairs of each centre start [count + 1].
  const int64_t *offsets;
  /// Neighbour of each pair.
  const int32_t *neighbors;
  /// Image of each pair's neighbour [3], in box vectors. NULL: zeros.
  const int8_t *shifts;
  /// Derivatives s of a further energy by the charges [count], V: forces, strain and
  /// virials are those of the energy plus the sum of s q at constant s. NULL: zeros.
  const double *seeds;
} allegro_atoms;

/// Where results go.
typedef struct allegro_results {
  /// Energies [count], eV; overwritten for each centre that is run. NULL: not wanted.
  double *energies;
  /// Forces [count, 3], eV/Å; added to, on neighbours too. NULL: the others for half the cost.
  double *forces;
  /// Derivative of the energy by the strain [3, 3], eV; added to, if there are forces.
  double *strain;
  /// The same of each atom [count, 3, 3], eV, as a heat flux needs it; NULL: not wanted. Sum
  /// over pairs to the atom: vector (row) times derivative of the centre's energy by it.
  double *virials;
  /// Charges q [count] that the operations give, e: zeros without any, and without what is
  /// the same for an element or all atoms; overwritten as energies. NULL: not wanted.
  double *charges;
} allegro_results;
/// A program that has been read.
typedef struct allegro_model allegro_model;
/// ALLEGRO_FORMAT that the library was compiled with.
int64_t allegro_format(void);
/// ALLEGRO_INTERFACE that the library was compiled with.
int64_t allegro_interface(void);
/// Outcomes of functions.
enum allegro_outcome {
  ALLEGRO_OK = 0, ALLEGRO_REFUSED = 1, ALLEGRO_NO_MEMORY = 2, ALLEGRO_OTHER_FORMAT = 3,
  ALLEGRO_TOO_LARGE = 4
};

/// Look at each index, column and size of a program whose arrays have so many numbers, as
/// the functions below do not. Refused if one leads outside, and then what was expected and
/// found is in `message`, which has `room` bytes. The weights are not read and may be NULL.
int64_t allegro_check(const allegro_program *program, int64_t integers, int64_t constants,
                      int64_t weights, char *message, int64_t room);
/// Largest cutoff of a pair, Å, of a program that has been checked.
double allegro_cutoff(const allegro_program *program);
/// Read a program, whose arrays are not copied; NULL for another format or lack of memory.
allegro_model *allegro_open(const allegro_program *program);

/// Run the centres from `begin` to before `end` in the calling thread. Threads may share a
/// model, but not forces, strain and virials. All functions with an outcome may lack memory.
int64_t allegro_run(const allegro_model *model, const allegro_atoms *atoms, int64_t begin,
                    int64_t end, const allegro_results *results);
/// Run all centres on threads that each have forces, strain and virials of their own, to be
/// added: [threads, count, 3] and so on. Equal arguments give equal results, to the last bit.
int64_t allegro_run_threads(const allegro_model *model, const allegro_atoms *atoms,
                            int64_t threads, const allegro_results *results);

/// Evaluate the first stage, which depends on distance and elements alone, in double
/// precision: results [count, first_width] at x = r / cutoff [count], and slopes by x.
int64_t allegro_two_body(const allegro_model *model, int64_t center, int64_t neighbor,
                         int64_t count, const double *x, double *values, double *slopes);
/// Fill a table of so many intervals, whose numbers are float or double as the weights are.
int64_t allegro_tabulate(const allegro_model *model, int64_t intervals, int64_t threads,
                         void *cubics);
/// Find the largest errors of such a table within its intervals, in double precision:
/// `errors` [2] of values and of slopes, each over the largest of an ordered pair.
int64_t allegro_table_errors(const allegro_model *model, int64_t intervals, int64_t threads,
                             double *errors);
/// Free what allegro_open made.
void allegro_close(allegro_model *model);
#ifdef __cplusplus
}
#endif
#endif

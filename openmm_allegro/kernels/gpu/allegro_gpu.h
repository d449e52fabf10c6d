// SPDX-License-Identifier: MIT
/// @file
/// C interface of the kernels for graphics cards. The library emits the source of a
/// program's kernels and runs the steps of a simulation through a device, a struct of
/// functions that compile, allocate and launch. Torch's CUDA, OpenMM's CUDA, OpenCL and HIP
/// platforms, and a processor that plays a card for tests, are such devices. This file keeps
/// the form of `allegro.h`. Lengths are in Å, energies in eV.
#ifndef OPENMM_ALLEGRO_GPU_H
#define OPENMM_ALLEGRO_GPU_H
#include "../allegro.h"
#ifdef __cplusplus
extern "C" {
#endif
/// Version of the structs and functions below.
#define ALLEGRO_GPU_INTERFACE 4

// --------------------------------------------------------------------- emitted sources
/// Ways to multiply matrices of float32.
enum allegro_gpu_products {
  ALLEGRO_GPU_FMA = 0, ALLEGRO_GPU_TF32X3 = 1
};
/// NVIDIA's cards, ten times the major and once the minor number, whose tensor cores are
/// faster than their other units even if each product takes three of theirs. The others
/// have tensor cores of half the rate, or none for TF32.
#define ALLEGRO_GPU_TENSOR_CORES(X) X(80) X(90) X(100) X(103)

/// Choices for the kernels of a program.
typedef struct allegro_gpu_options {
  /// Rows of a group of centres: 16, 32, 64, 96 or 128; 0 for no packed kernel.
  int64_t rows;
  /// Which of enum allegro_gpu_products; double weights need ALLEGRO_GPU_FMA.
  int64_t products;
  /// Bytes of work-group memory that a group may take.
  int64_t memory;
  /// 1 if a pointer may be to work-group or to device memory, as in CUDA and HIP. What a
  /// group has no room for is then spilled to scratch in device memory.
  int64_t one_space;
} allegro_gpu_options;

/// Sizes of a program's kernels and of the arrays that they read.
typedef struct allegro_gpu_sizes {
  /// Threads of a work-group of the packed kernel `network`.
  int64_t threads;
  /// Centres that a group may have.
  int64_t slots;
  /// Bytes of work-group memory of `network`.
  int64_t memory;
  /// Bytes of scratch memory of a work-group of `network`, for what is spilled.
  int64_t spilled;
  /// Bytes that a group reads and writes there, with forces.
  int64_t spilled_traffic;
  /// Threads of a work-group of the kernel `wide`.
  int64_t wide_threads;
  /// Bytes of work-group memory of `wide`.
  int64_t wide_memory;
  /// Numbers of scratch memory of a work-group of `wide` for each of its rows.
  int64_t wide_row;
  /// Numbers of scratch memory of a work-group of `wide`, aside from those of its rows.
  int64_t wide_rest;
  /// Numbers of the array of weights, float or double as the program's.
  int64_t weights;
  /// Numbers of the array of constants, double.
  int64_t constants;
  /// Numbers of the array of integers, int32.
  int64_t integers;
  /// Bytes of the source, with the zero at its end.
  int64_t text;
} allegro_gpu_sizes;

/// Sizes for a program that was checked. Refused if the program does not fit the options;
/// what was expected and found is then in `message`, which has `room` bytes.
int64_t allegro_gpu_plan(const allegro_program *program, const allegro_gpu_options *options,
                         allegro_gpu_sizes *sizes, char *message, int64_t room);
/// Write the source of the kernels `network` and `wide`, and the arrays that they read, or
/// the source alone if `weights` is NULL. Groups of any number of rows read the same arrays.
int64_t allegro_gpu_emit(const allegro_program *program, const allegro_gpu_options *options,
                         char *text, void *weights, double *constants, int32_t *integers);
/// ALLEGRO_GPU_INTERFACE that the library was compiled with.
int64_t allegro_gpu_interface(void);

// --------------------------------------------------------------------------- the device
/// What a kernel's argument is.
enum allegro_gpu_kind {
  ALLEGRO_GPU_BUFFER = 0, ALLEGRO_GPU_INT = 1, ALLEGRO_GPU_DOUBLE = 2
};

/// An argument of a kernel.
typedef struct allegro_gpu_argument {
  /// Which of enum allegro_gpu_kind.
  int64_t kind;
  /// The buffer.
  void *buffer;
  /// The number, which kernels take as a 32-bit int.
  int64_t integer;
  /// The number.
  double real;
} allegro_gpu_argument;

/// A device. Functions that return a pointer return NULL where they fail, the others an
/// enum allegro_outcome. Launches and copies run in the order of the calls, and no call but
/// `download` waits for the card.
typedef struct allegro_gpu_device {
  /// Given back to the functions.
  void *self;
  /// Work-groups that run at a time.
  int64_t groups;
  /// Bytes of work-group memory that a kernel may take.
  int64_t memory;
  /// Which of enum allegro_gpu_products is the fastest.
  int64_t products;
  /// 1 if a pointer may be to work-group or to device memory, else 0.
  int64_t one_space;
  /// Reserve so many bytes.
  void *(*allocate)(void *self, int64_t bytes);
  /// Give a buffer back, after the launches that use it.
  void (*release)(void *self, void *buffer);
  /// Write the first bytes of a buffer; `from` may change after the call.
  int64_t (*upload)(void *self, void *buffer, const void *from, int64_t bytes);
  /// Read the first bytes of a buffer, and wait for it.
  int64_t (*download)(void *self, void *buffer, void *to, int64_t bytes);
  /// Start to read the first bytes of a buffer, at most 256, without waiting.
  int64_t (*watch)(void *self, void *buffer, int64_t bytes);
  /// Copy what the last `watch` that has ended read; ALLEGRO_REFUSED if none has ended since.
  int64_t (*watched)(void *self, void *to, int64_t bytes);
  /// Compile a source; its kernels have `threads` threads and `memory` bytes each.
  void *(*compile)(void *self, const char *source);
  /// Find a kernel of a compiled source, by name.
  void *(*kernel)(void *self, void *compiled, const char *name, int64_t threads,
                  int64_t memory);
  /// Launch a kernel.
  int64_t (*launch)(void *self, void *kernel, int64_t groups, int64_t threads,
                    int64_t memory, const allegro_gpu_argument *arguments, int64_t count);
} allegro_gpu_device;

// -------------------------------------------------------------------- a step on a device
/// Images of the atoms that charges interact with: all that the box has; of each atom the one
/// that is nearest to the first atom; those that are given.
enum allegro_gpu_images {
  ALLEGRO_GPU_ALL_IMAGES = 0, ALLEGRO_GPU_NEAREST_IMAGES = 1, ALLEGRO_GPU_GIVEN_IMAGES = 2
};

/// Charges of models, and how they are summed; see allegro_charges of long_range.h.
typedef struct allegro_gpu_charges {
  /// Charges of the elements of each program, one program after the other, e.
  const double *starts;
  /// Inverse width of the charges [members], 1/Å.
  const double *alphas;
  /// Sum of the charges of all atoms and caps, e.
  double total;
  /// Energy of two point charges e that are 1 Å apart, eV Å.
  double coulomb;
  /// Which of enum allegro_gpu_images; of no effect without a box.
  int64_t images;
} allegro_gpu_charges;

/// Atoms and models, which are copied.
typedef struct allegro_gpu_atoms {
  /// Number of atoms and caps.
  int64_t count;
  /// Number of programs; results are their means.
  int64_t members;
  /// Programs [members], which were checked.
  const allegro_program *programs;
  /// Element of each atom [members, count], as the program numbers them.
  const int64_t *types;
  /// Particle of each atom [count less caps].
  const int64_t *particles;
  /// Number of caps, the last of the atoms.
  int64_t caps;
  /// Inner and outer particle of each cap [caps, 2].
  const int64_t *ends;
  /// Place of each cap on the bond, as a part of its length [caps].
  const double *ratios;
  /// 1 where the box repeats along its vector, else 0.
  int64_t periodic[3];
  /// Reach of the pair list beyond the cutoff, Å.
  double skin;
  /// Their charges; NULL for models without.
  const allegro_gpu_charges *charges;
} allegro_gpu_atoms;

/// Counters that kernels raise and that are read a step later: 1 where this step built the
/// list; what is wrong with positions or the box, 0 if nothing is; pairs of a centre in the
/// list, the most so far; groups and `wide` centres of this step; rows of a centre for which
/// there was no room, else 0; lists and steps so far; rows of a centre, the most so far.
enum allegro_gpu_counter {
  ALLEGRO_GPU_REBUILD = 0, ALLEGRO_GPU_NOT_FINITE = 1, ALLEGRO_GPU_BAD_BOX = 2,
  ALLEGRO_GPU_LARGEST_COUNT = 3, ALLEGRO_GPU_GROUPS = 4, ALLEGRO_GPU_WIDE = 5,
  ALLEGRO_GPU_TOO_MANY = 6, ALLEGRO_GPU_REBUILDS = 7, ALLEGRO_GPU_STEPS = 8,
  ALLEGRO_GPU_LARGEST_DEGREE = 10, ALLEGRO_GPU_COUNTERS = 16
};

/// Where positions come from: buffers of the device.
typedef struct allegro_gpu_input {
  /// Positions of all particles [particles, 3].
  void *positions;
  /// Box vectors [3, 3], one in a row; NULL without a box.
  void *box;
  /// 1 if both are double, 0 if they are float.
  int64_t is_double;
  /// Å in a unit of both: 10 for nm.
  double to_angstrom;
} allegro_gpu_input;

/// Where results go: buffers of the device. Those of a step that finds something wrong are NaN.
typedef struct allegro_gpu_output {
  /// Energies of atoms and caps [count], double, eV.
  void *energies;
  /// Forces on atoms and caps [count, 3], double, eV/Å; NULL for energies alone.
  void *forces;
  /// Derivative of the energy by the strain [3, 3], double, eV; not written for energies
  /// alone.
  void *strain;
} allegro_gpu_output;

/// Choices that allegro_gpu_open makes by itself where they are 0, for tests and measurements.
typedef struct allegro_gpu_tuning {
  /// Rows of a group: at most 128, 96, 64, 32 or 16, which then stay; -1 for no packed
  /// kernel.
  int64_t rows;
  /// Pairs of a centre that the list has room for at first.
  int64_t capacity;
  /// Atoms from which on the list is built by cells.
  int64_t cells;
  /// Rows of a centre that the kernel `wide` has room for at first.
  int64_t wide_rows;
} allegro_gpu_tuning;

/// Models and atoms on a device.
typedef struct allegro_gpu_engine allegro_gpu_engine;
/// Compile the kernels and make the buffers; NULL if the device cannot, and why is in
/// `message`. Tries groups of 64, 32 and 16 rows, then none; a later step compiles kernels of
/// groups of 96 or 128 rows, once each, where many centres have more than there were. What
/// `device` names must outlive the engine.
allegro_gpu_engine *allegro_gpu_open(const allegro_gpu_device *device,
                                     const allegro_gpu_atoms *atoms, char *message,
                                     int64_t room);
/// The same with choices.
allegro_gpu_engine *allegro_gpu_open_tuned(const allegro_gpu_device *device,
                                           const allegro_gpu_atoms *atoms,
                                           const allegro_gpu_tuning *tuning, char *message,
                                           int64_t room);
/// Rows of a group of centres now; 0 if no packed kernel fits the programs and the device.
int64_t allegro_gpu_rows(const allegro_gpu_engine *engine);
/// Queue a step. Refused if a step before found something wrong, which is in `message`. It
/// waits for the card where charges have images, to read the box.
int64_t allegro_gpu_step(allegro_gpu_engine *engine, const allegro_gpu_input *input,
                         const allegro_gpu_output *output, char *message, int64_t room);
/// Queue a step of one of the members alone; -1 for the mean over all.
int64_t allegro_gpu_step_member(allegro_gpu_engine *engine, int64_t member,
                                const allegro_gpu_input *input,
                                const allegro_gpu_output *output, char *message,
                                int64_t room);
/// Wait for the last step; refused if it or one before found something wrong. Counters
/// [ALLEGRO_GPU_COUNTERS], int32, may be NULL.
int64_t allegro_gpu_finish(allegro_gpu_engine *engine, int32_t *counters, char *message,
                           int64_t room);
/// Release the buffers.
void allegro_gpu_close(allegro_gpu_engine *engine);
#ifdef __cplusplus
}
#endif
#endif

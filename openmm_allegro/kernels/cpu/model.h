// SPDX-License-Identifier: MIT
// A program as the operations read it, with the plan of the way back, and the atoms and
// rows that they work on. Included once per instruction set, after vector.h.

constexpr int LARGEST = 32;  // spherical harmonics of a pair
// Bytes of a block's rows: with their derivatives and the weights they fit a second cache.
constexpr int64_t BLOCK = 100000;

struct Layer : allegro_layer {
  long start, chain;  // of its part of the centre's operators and chains
  const allegro_entry *entry;
};

struct Range {
  long begin, end;
};

struct Model : allegro_header, allegro_scalars {
#define DECLARE(type, name, length, about) const type *name;
  ALLEGRO_INTEGERS(DECLARE)
  ALLEGRO_CONSTANTS(DECLARE)
#undef DECLARE
  const void *weights;
  bool is_double, is_charged, has_inner;
  std::vector<Layer> layer;
  long operator_size, chain_size;     // of a centre, all layers together
  long degrees;
  std::vector<long> first_component;  // of each degree, and the end
  // Operations that are the first to write, backward; for tensor products to the features'
  // weights and to the environment's.
  std::vector<bool> overwrites, overwrites_environment;
  std::vector<Range> zeroed;          // columns whose derivatives are only added to
};

// Memory for vectors at whole cache lines, which a load or store then never straddles.
template <typename T> struct Aligned {
  typedef T value_type;
  static constexpr std::align_val_t line{64};
  Aligned() = default;
  template <typename U> Aligned(const Aligned<U> &) {}
  T *allocate(size_t n) { return static_cast<T *>(operator new(n * sizeof(T), line)); }
  void deallocate(T *p, size_t) { operator delete(p, line); }
  friend bool operator==(Aligned, Aligned) { return true; }
  friend bool operator!=(Aligned, Aligned) { return false; }
};
template <typename T> using Array = std::vector<T, Aligned<T>>;

// All pairs of a few centres are the rows of one matrix x; g has the derivatives of the
// energy by it. A row stays in the cache from the first to the last operation.
template <typename T> struct Workspace {
  bool goes_back = true;                       // whether the way back follows
  Array<T> x, g;                               // [rows, stride]
  Array<double> unit[3], distance;             // [rows]
  Array<T> slopes;                             // [rows, first_width], from the table
  Array<T> seeds;                              // [rows], of the centres; see allegro_atoms
  Array<double> scaled;                        // [rows, 4]: dx/dr, dE/dr of the core, x, dE/dx
  std::vector<int> neighbors, kinds;           // [rows]; kind: ordered pair of types
  std::vector<long> first, atoms;              // of the block's centres
  Array<T> environment, gradient;              // [A, U]
  Array<T> products;                           // [rows of a centre, degrees, U]
  Array<T> operators, d_operators;             // [centres, all layers' A, D, U]
  Array<T> chain;                              // [centres, all layers' t, A, U]
};

// An operation as the struct of its code.
template <typename O> static inline const O &as(const allegro_operation &operation) {
  static_assert(sizeof(O) <= sizeof(allegro_operation));
  return reinterpret_cast<const O &>(operation);
}

// Columns that the way back adds to: they must be zero before. Of operations that add to
// the same columns the first one may write instead.
struct BackwardPlan {
  Model &m;
  std::vector<bool> written, zeroed;

  long room(long width) const {
    return m.is_double ? padded<double>(width) : padded<float>(width);
  }

  void need(long begin, long width) {
    for (long i = begin; i < std::min(begin + room(width), (long)m.stride); ++i)
      if (!written[i]) written[i] = zeroed[i] = true;
  }

  // True if nothing has been written there, which then is; else it must be zero before.
  bool is_first(long begin, long width) {
    const auto from = written.begin() + begin;
    if (std::find(from, from + width, true) == from + width) {
      std::fill(from, from + width, true);
      return true;
    }
    need(begin, width);
    return false;
  }

  void linear(const allegro_linear &op, long n) {
    need(op.target, op.width);
    m.overwrites[n] = is_first(op.source, room(op.depth));
  }

  void tensor(const allegro_tensor &op, long n) {
    need(op.target, m.channels);
    m.overwrites[n] = is_first(op.tensor, m.degrees * m.channels);
    m.overwrites_environment[n] = is_first(op.environment, m.degrees * m.channels);
  }

  void operation(long n) {
    const allegro_operation &op = m.operation[n];
    switch (op.code) {
      case ALLEGRO_LINEAR: return linear(as<allegro_linear>(op), n);
      case ALLEGRO_ACTIVATION: {
        const auto &activation = as<allegro_activation>(op);
        return need(activation.target, activation.width);
      }
      case ALLEGRO_TYPES: {
        const auto &types = as<allegro_types>(op);
        return need(types.target, types.width);
      }
      case ALLEGRO_SPLINE: {
        const auto &spline = as<allegro_spline>(op);
        return need(spline.target, spline.width);
      }
      case ALLEGRO_TENSOR: return tensor(as<allegro_tensor>(op), n);
      case ALLEGRO_ENERGY: {
        const auto &energy = as<allegro_energy>(op);
        m.overwrites[n] = is_first(energy.source, energy.width);
        return;
      }
      case ALLEGRO_CHARGE: {
        const auto &charge = as<allegro_charge>(op);
        m.overwrites[n] = is_first(charge.source, charge.width);
      }
    }
  }
};

static void plan_backward(Model &m) {
  BackwardPlan plan = {m, std::vector<bool>(m.stride), std::vector<bool>(m.stride)};
  m.overwrites.assign(m.operations, false);
  m.overwrites_environment.assign(m.operations, false);
  plan.need(m.harmonic, m.components);
  for (long n = m.operations - 1; n >= 0; --n) plan.operation(n);
  plan.need(m.basis, m.radial);
  for (long i = 0; i < m.stride; ++i)
    if (plan.zeroed[i]) {
      const long begin = i;
      while (i < m.stride && plan.zeroed[i]) ++i;
      m.zeroed.push_back({begin, i});
    }
}

// The struct at `from`, which then is at what follows.
template <typename S, typename E> static const S &take(const E *&from) {
  const S &taken = *reinterpret_cast<const S *>(from);
  from += sizeof(S) / sizeof(E);
  return taken;
}

static Model read(const allegro_program &program) {
  const int64_t *integers = program.integers;
  const double *constants = program.constants;
  Model m;
  static_cast<allegro_header &>(m) = take<allegro_header>(integers);
  static_cast<allegro_scalars &>(m) = take<allegro_scalars>(constants);
  const int64_t types = m.types, radial = m.radial, terms = m.terms;
  const int64_t components = m.components, operations = m.operations, core = m.core;
#define READ(type, name, length, about)            \
  m.name = reinterpret_cast<const type *>(from); \
  from += (length) * (sizeof(type) / sizeof(*from));
  const int64_t *&from = integers;
  ALLEGRO_INTEGERS(READ)
#undef READ
#define READ(type, name, length, about) m.name = constants, constants += length;
  ALLEGRO_CONSTANTS(READ)
#undef READ
  m.operator_size = m.chain_size = 0;
  for (long n = 0; n < m.layers; ++n) {
    Layer l;
    static_cast<allegro_layer &>(l) = take<allegro_layer>(integers);
    l.entry = reinterpret_cast<const allegro_entry *>(integers);
    integers += l.entries * (sizeof(allegro_entry) / sizeof(int64_t));
    l.start = m.operator_size, m.operator_size += l.dim_in * l.dim_out * m.channels;
    l.chain = m.chain_size, m.chain_size += (n + 1) * m.widest * m.channels;
    m.layer.push_back(l);
  }
  for (long a = 0; a < m.components; ++a)
    if (a == 0 || m.degree[a] != m.degree[a - 1]) m.first_component.push_back(a);
  m.degrees = m.first_component.size();
  m.first_component.push_back(m.components);
  m.weights = program.weights;
  m.is_double = program.is_double;
  m.is_charged = std::any_of(m.operation, m.operation + m.operations,
                             [](const auto &op) { return op.code == ALLEGRO_CHARGE; });
  m.has_inner = m.operations && m.operation[0].code == ALLEGRO_INNER;
  plan_backward(m);
  return m;
}

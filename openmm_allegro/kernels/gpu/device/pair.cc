R"DEVICE(
// Functions of one pair: its vector, radial functions, core and two-body table,
// all in double precision. `harmonics` and `harmonics_back` come with the program.

// Direction and length of a pair.
typedef struct {
  double x, y, z, r;
} Pair;

// An image is three signed bytes: the numbers of box vectors.
DEVICE Pair pair_between(GLOBAL const double *RESTRICT x, GLOBAL const double *RESTRICT box,
                         int center, int neighbor, int image) {
  const double a = (double)(signed char)(image & 255);
  const double b = (double)(signed char)((image >> 8) & 255);
  const double c = (double)(signed char)((image >> 16) & 255);
  Pair p;
  p.x = x[3 * neighbor] - x[3 * center];
  p.y = x[3 * neighbor + 1] - x[3 * center + 1];
  p.z = x[3 * neighbor + 2] - x[3 * center + 2];
  p.x += a * box[0] + b * box[3] + c * box[6];
  p.y += a * box[1] + b * box[4] + c * box[7];
  p.z += a * box[2] + b * box[5] + c * box[8];
  p.r = sqrt(p.x * p.x + p.y * p.y + p.z * p.z);
  p.x /= p.r;
  p.y /= p.r;
  p.z /= p.r;
  return p;
}

// A smooth cutoff, 1 at x = 0 and 0 from x = 1 on, and its derivative
// (doi:10.48550/arXiv.2003.03123, eq. 8).
DEVICE double envelope(double x, double p, double *slope) {
  double before = 1.0;  // x to the power p - 1
  if (p == (double)(int)p)
    for (int n = 1; n < (int)p; n++) before *= x;
  else
    before = pow(x, p - 1.0);
  const double xp = before * x;
  const double a = 0.5 * (p + 1.0) * (p + 2.0), b = p * (p + 2.0), c = 0.5 * p * (p + 1.0);
  *slope = x >= 1.0 ? 0.0
                    : -a * p * before + b * (p + 1.0) * xp - c * (p + 2.0) * xp * x;
  return x >= 1.0 ? 0.0 : 1.0 - a * xp + b * xp * x - c * xp * x * x;
}

// The place x of a distance within the cutoff that the radial functions take, and its
// derivative by the distance; see allegro_inner.
DEVICE double seen_place(GLOBAL const double *RESTRICT constants, int kind, double r,
                         double cutoff, double *slope) {
  *slope = 1.0 / cutoff;
#if HAS_INNER
  const double inner = constants[INNER + kind];
  if (r < inner) {
    const double width = INNER_WIDTH * inner;
    const double u = fmax(0.0, (r - inner + width) / width);
    *slope = u * u * (3.0 - 2.0 * u) / cutoff;
    return (inner - width * (0.5 - u * u * u + 0.5 * u * u * u * u)) / cutoff;
  }
#endif
  return r / cutoff;
}

#define PI 3.14159265358979323846

// The radial functions of x = r / cutoff, one after the other.
typedef struct {
  double x, inverse, cut, d_cut;
  double s1, c1, s, c, before_s, before_c;  // sine and cosine of multiples of πx
} Radial;

DEVICE Radial radial_functions(double x) {
  Radial f;
  f.x = x;
#if !SPLINE
  f.inverse = 1.0 / x;
  f.cut = envelope(x, ENVELOPE_P, &f.d_cut);
#if INTEGER_ROOTS
  // Taylor series of sine and cosine at the nearer end of 0 to π, to z^23
  const double inside = x > 1.0 ? 1.0 : x;
  const double z = PI * (inside > 0.5 ? 1.0 - inside : inside), z2 = z * z;
  double s = 1.0, c = 1.0;
  UNROLL
  for (int n = 22; n > 0; n -= 2) {
    s = 1.0 - z2 * (1.0 / (n * (n + 1))) * s;
    c = 1.0 - z2 * (1.0 / (n * (n - 1))) * c;
  }
  f.s1 = z * s;
  f.c1 = inside > 0.5 ? -c : c;
  f.s = 0.0;
  f.c = 1.0;
  f.before_s = -f.s1;
  f.before_c = f.c1;
#endif
#endif
  return f;
}

// Value of the next radial function, number n, and its derivative by x.
DEVICE double next_radial(Radial *f, int n, GLOBAL const double *RESTRICT constants,
                          double *slope) {
#if SPLINE
  const double start = constants[ROOTS + n];
  const double phase = fmin(fmax((f->x - start) / ENVELOPE_P, 0.0), 1.0);
  const double s = sin(2.0 * PI * phase), c = 1.0 - cos(2.0 * PI * phase);
  *slope = PI * c * s / ENVELOPE_P;
  return 0.25 * c * c;
#else
#if INTEGER_ROOTS
  const double root = n + 1.0;
  const double next_s = 2.0 * f->c1 * f->s - f->before_s;
  const double next_c = 2.0 * f->c1 * f->c - f->before_c;
  f->before_s = f->s;
  f->before_c = f->c;
  f->s = next_s;
  f->c = next_c;
#else
  const double root = constants[ROOTS + n];
  f->s = sin(PI * root * f->x);
  f->c = cos(PI * root * f->x);
#endif
  const double value = f->s * f->inverse * (1.0 / PI);
  *slope = (root * f->c - value) * f->inverse * f->cut + value * f->d_cut;
  return value * f->cut;
#endif
}

// Energy of the core of an ordered pair of elements at the distance r, x being r / cutoff, and
// its derivative by r.
#if CORE
DEVICE double pair_core(GLOBAL const double *RESTRICT constants, int kind, double r, double x,
                        double cutoff, double *slope) {
  double sum = 0.0, d_sum = 0.0;
  for (int n = 0; n < CORE; n++) {
    const double rate = constants[CORE_RATES + kind * CORE + n];
    const double part = constants[CORE_STRENGTHS + kind * CORE + n] * exp(-rate * r);
    sum += part;
    d_sum -= rate * part;
  }
  double d_cut;
  const double cut = envelope(x, CORE_P, &d_cut);
  *slope = ((d_sum - sum / r) * cut + sum * d_cut / cutoff) / r;
  return sum * cut / r;
}
#endif

#if POINTS
#define TABLE_SCALE (POINTS / (1.0 - TABLE_FROM))  // intervals for each unit of x
// An interval of the two-body table: where its cubics start in the weights, the place t
// within, 0 to 1, and dt/dx.
typedef struct {
  int start;
  NET t, scale;
} Interval;

// True where functions of the distance are computed. This includes distances that are not
// numbers, which have no place in the table.
DEVICE int is_exact(double x) { return !(x >= TABLE_FROM); }

DEVICE Interval table_interval(int kind, double x) {
  const double place = ((x > 1.0 ? 1.0 : x) - TABLE_FROM) * TABLE_SCALE;
  int node = (int)place;
  node = node < POINTS - 1 ? node : POINTS - 1;
  Interval i;
  i.start = TABLE + 4 * FIRST_WIDTH * (POINTS * kind + node);
  i.t = (NET)(place - node);
  i.scale = (NET)TABLE_SCALE;
  return i;
}

// Value of a column, and its derivative by x.
DEVICE NET table_value(GLOBAL const NET *RESTRICT weights, Interval i, int column,
                       NET *slope) {
  GLOBAL const NET *RESTRICT cubic = weights + i.start + column;
  const NET s = cubic[FIRST_WIDTH], b = cubic[2 * FIRST_WIDTH], c = cubic[3 * FIRST_WIDTH];
  *slope = i.scale * (s + i.t * ((NET)2 * b + i.t * ((NET)3 * c)));
  return cubic[0] + i.t * (s + i.t * (b + i.t * c));
}
#endif

// x becomes f(x); returns f'(x). The kinds are those of enum allegro_nonlinearity.
DEVICE NET silu(NET *x) {
  const NET z = *x, s = DIVIDE((NET)1, (NET)1 + EXP(-z));
  *x = z * s;
  return s * ((NET)1 + z * ((NET)1 - s));
}

// z tanh(ln(1 + exp z)), rational in exp(-|z|).
DEVICE NET mish(NET *x) {
  const NET z = *x, e = EXP(z < (NET)0 ? z : -z);
  const NET a = z < (NET)0 ? e * (e + (NET)2) : (NET)1 + (NET)2 * e;
  const NET b = z < (NET)0 ? a + (NET)2 : a + (NET)2 * e * e;
  const NET t = DIVIDE(a, b), s = DIVIDE(z < (NET)0 ? e : (NET)1, (NET)1 + e);
  *x = z * t;
  return t + z * s * ((NET)1 - t * t);
}

DEVICE NET gelu(NET *x) {
  const NET z = *x;
  const NET phi = (NET)0.5 * ((NET)1 + erf(z * (NET)0.70710678118654752440));
  const NET density = (NET)0.39894228040143267794 * EXP((NET)-0.5 * z * z);
  *x = z * phi;
  return phi + z * density;
}
)DEVICE"

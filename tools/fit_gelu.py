#!/usr/bin/env python3
"""Fits the approximations of the vectorized GELU and prints asmlp/kernels/gelu_table.h.

GELU(x) = max(x, 0) - a q(a) with a = |x| and q(a) = Phi(-a) = erfc(a / sqrt 2) / 2. Around each of
`segments` points j * width, q is a polynomial in d = a / width - j, |d| <= 1/2, through Chebyshev
nodes. Beyond the last segment a is clamped. How many segments depends on what an instruction set can
look up quickly.

Where the result is rounded to bf16, an odd polynomial without a table is enough:
GELU(x) = max(x, -c) (1/2 + r Q(r^2)) with r = x clamped to [-c, c]. Q(c^2) = 1 / (2 c), exactly, makes
it 0 below -c and x above c. Q is the polynomial whose largest error is least (Lawson's weights), in steps
of bf16 where |y| > 2^-7, and as an absolute error, of the size of the tail that is cut off, below.

Needs numpy:  tools/fit_gelu.py > asmlp/kernels/gelu_table.h
"""
import math

import numpy as np
from numpy.polynomial import chebyshev

LIMIT = 5.6
# With c = 4, c Q(c^2) = 1/2 holds in fp32 without rounding. Seven coefficients would err by 0.34 steps.
BF16_LIMIT, BF16_COEFFICIENTS = 4.0, 8


def q(a):
    return np.array([math.erfc(v / math.sqrt(2)) / 2 for v in np.atleast_1d(a)])


def fit(segments, degree):
    """Coefficients [i][j] of d^i in segment j, and the scale 1 / width."""
    width = LIMIT / (segments - 0.5)
    table = np.zeros((degree + 1, segments), np.float32)
    for j in range(segments):
        poly = chebyshev.Chebyshev.interpolate(lambda d: q((j + d) * width), degree, [-0.5, 0.5])
        table[:, j] = poly.convert(kind=np.polynomial.Polynomial).coef
    return table, np.float32(1 / width)


def worst_error(table, scale):
    """Largest error in fp32 arithmetic, as the kernels do it but for fused multiply-adds."""
    x = np.linspace(-8, 8, 1_000_001).astype(np.float32)
    a = np.minimum(np.abs(x), np.float32(LIMIT))
    position = a * scale
    j = np.minimum(np.rint(position), table.shape[1] - 1).astype(int)
    d = (position - j.astype(np.float32)).astype(np.float32)
    value = table[-1, j]
    for row in table[-2::-1]:
        value = (value * d + row[j]).astype(np.float32)
    return np.abs(np.maximum(x, 0) - a * value - gelu(x)).max()


def gelu(x):
    return np.array([v * (1 - math.erfc(v / math.sqrt(2)) / 2) if v > 0 else
                     v * math.erfc(-v / math.sqrt(2)) / 2 for v in x.astype(float)])


def bf16_step(y):
    return 2.0 ** (np.floor(np.log2(np.maximum(np.abs(y), 2.0 ** -7))) - 7)


def horner(coefficients, t):
    value = np.full_like(t, coefficients[-1])
    for c in coefficients[-2::-1]:
        value = (value.astype(float) * t + c).astype(np.float32)
    return value


def fit_bf16():
    """Coefficients of Q in fp32, the lowest first."""
    c, n = BF16_LIMIT, BF16_COEFFICIENTS
    x = np.linspace(-c, c, 8001)[1:-1]
    y, t = gelu(x), x * x
    tail = abs(gelu(np.array([-c]))[0])
    # 0.12 steps weigh as much as 1.2 times the tail; near 0 the relative error matters.
    scale = np.where((np.abs(y) > 2.0 ** -7) | (np.abs(x) < 0.02), 1 / bf16_step(y), 0.1 / tail)
    # Q = 1 / (2 c) + (t - c^2) P(t): only P is free.
    matrix = (t * (t - c * c))[:, None] * chebyshev.chebvander(2 * t / c ** 2 - 1, n - 2)
    rest, weights, best = y - x * (0.5 + x / (2 * c)), np.ones_like(x), None
    for _ in range(150):
        w = np.sqrt(weights) * scale
        p = np.linalg.lstsq(matrix * w[:, None], rest * w, rcond=None)[0]
        error = np.abs(matrix @ p - rest) * scale
        if best is None or error.max() < best[0]:
            best = error.max(), p
        weights = weights * (error / error.max() + 1e-3)
        weights /= weights.mean()
    power = chebyshev.Chebyshev(best[1], domain=[0, c * c]).convert(kind=np.polynomial.Polynomial).coef
    q = np.polynomial.polynomial.polymul(power, [-c * c, 1])
    q[0] += 1 / (2 * c)
    q = q.astype(np.float32)
    # Without its constant, a step of Horner's scheme is exact at c^2 = 16: this makes the sum exact.
    inner = horner(q[1:], np.float32([c * c]))[0]
    q[0] = np.float32(1 / (2 * c) - float(inner) * c * c)
    assert horner(q, np.float32([c * c]))[0] == 1 / (2 * c)
    return q


def bf16_errors(q):
    """Largest error in steps of bf16 where |y| > 2^-7, and the largest one below."""
    x = np.linspace(-8, 8, 400_001).astype(np.float32)
    r = np.clip(x, -BF16_LIMIT, BF16_LIMIT).astype(np.float32)
    value = np.maximum(x, -BF16_LIMIT) * (0.5 + r.astype(float) * horner(q, r * r)).astype(np.float32)
    exact = gelu(x)
    error, large = np.abs(value - exact), np.abs(exact) > 2.0 ** -7
    return (error / bf16_step(exact))[large].max(), error[~large].max()


print(f"""// The approximations of the vectorized GELU. Written by tools/fit_gelu.py, which explains them.
#pragma once

namespace asmlp {{

inline constexpr float kGeluLimit = {LIMIT}f;

// Coefficient [i] of d^i for each segment, repeated to fill a vector of `lanes`.
template <int segments, int degree, int lanes>
struct GeluTable {{
  static constexpr int kDegree = degree;
  float scale;
  alignas(64) float coefficients[degree + 1][lanes];
}};
""")
for segments, degree, lanes, use in (4, 7, 8, "a lookup of 4 within each half of an AVX register"), \
                                    (8, 5, 16, "a lookup of 16 in an AVX-512 register"):
    table, scale = fit(segments, degree)
    print(f"// For {use}. Largest error {worst_error(table, scale):.2g}.")
    print(f"inline constexpr GeluTable<{segments}, {degree}, {lanes}> kGeluTable{segments} = {{")
    print(f"    {scale:.9g}f,")
    rows = ["{" + ", ".join(f"{c:.9g}f" for c in np.tile(row, lanes // segments)) + "}" for row in table]
    print("    {" + ",\n     ".join(rows) + "}};\n")
q = fit_bf16()
steps, rest = bf16_errors(q)
print(f"// max(x, -c) (1/2 + r Q(r^2)), r = x clamped to [-c, c]; the coefficients of Q, the lowest first. Largest")
print(f"// error {steps:.2g} steps of bf16 where |y| > 2^-7, {rest:.2g} elsewhere.")
print(f"inline constexpr float kGeluBf16Limit = {BF16_LIMIT}f;")
print(f"inline constexpr float kGeluBf16[{BF16_COEFFICIENTS}] = {{" + ", ".join(f"{c:.9g}f" for c in q) + "};")
print("\n}  // namespace asmlp")

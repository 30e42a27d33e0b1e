#!/usr/bin/env python3
"""Fits the tables of the vectorized GELU and prints asmlp/kernels/gelu_table.h.

GELU(x) = max(x, 0) - a q(a) with a = |x| and q(a) = Phi(-a) = erfc(a / sqrt 2) / 2. Around each of
`segments` points j * width, q is a polynomial in d = a / width - j, |d| <= 1/2, through Chebyshev
nodes. Beyond the last segment a is clamped. How many segments depends on what an instruction set can
look up quickly. Needs numpy:  tools/fit_gelu.py > asmlp/kernels/gelu_table.h
"""
import math

import numpy as np
from numpy.polynomial import chebyshev

LIMIT = 5.6


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
    exact = np.array([v * (1 - math.erfc(v / math.sqrt(2)) / 2) if v > 0 else
                      v * math.erfc(-v / math.sqrt(2)) / 2 for v in x.astype(float)])
    return np.abs(np.maximum(x, 0) - a * value - exact).max()


print(f"""// The tables of the vectorized GELU. Written by tools/fit_gelu.py, which explains them.
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
print("}  // namespace asmlp")

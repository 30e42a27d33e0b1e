#!/usr/bin/env python3
"""Fits the rational approximation of erf that the GELU kernels use (asmlp/kernels/gelu-inl.h).

erf(t) = t P(t^2) / Q(t^2) for |t| <= LIMIT, clamped beyond. Linearised least squares on Chebyshev
nodes, reweighted towards the equal-ripple solution (Lawson). Needs numpy:  tools/fit_erf.py
"""
import math

import numpy as np

LIMIT, P_DEGREE, Q_DEGREE = 4.0, 6, 4

t = LIMIT * (1 - np.cos(np.linspace(1e-3, math.pi, 4000))) / 2
erf = np.array([math.erf(v) for v in t])
s = t * t / LIMIT**2  # scaled to [0, 1] while fitting
target = erf / t
weights = np.ones_like(t)
q_previous = np.ones_like(t)
best = (math.inf, None)
for _ in range(400):
    p_columns = np.stack([s**i for i in range(P_DEGREE + 1)], 1)
    q_columns = np.stack([-target * s**i for i in range(1, Q_DEGREE + 1)], 1)
    rows = np.sqrt(weights) / q_previous * t  # absolute error of erf, not of erf / t
    solution = np.linalg.lstsq(np.hstack([p_columns, q_columns]) * rows[:, None], target * rows,
                               rcond=None)[0]
    p, q = solution[:P_DEGREE + 1], np.concatenate([[1.0], solution[P_DEGREE + 1:]])
    q_previous = sum(c * s**i for i, c in enumerate(q))
    error = np.abs(t * sum(c * s**i for i, c in enumerate(p)) / q_previous - erf)
    if error.max() < best[0]:
        best = (error.max(), (p, q))
    weights = weights * (error / error.max() + 1e-3) ** 0.5
    weights /= weights.sum()

p, q = (np.array([c / LIMIT**(2 * i) for i, c in enumerate(poly)]) for poly in best[1])
x = np.linspace(-8, 8, 2_000_001).astype(np.float32)
u = np.clip(x, -LIMIT, LIMIT).astype(np.float32)
z = u * u
def horner(coefficients):
    value = np.full_like(z, np.float32(coefficients[-1]))
    for c in coefficients[-2::-1]:
        value = value * z + np.float32(c)
    return value
approximate = (u * horner(p) / horner(q)).astype(np.float64)
exact = np.array([math.erf(float(v)) for v in x])
print("max error: fit %.3g, evaluated in fp32 %.3g" % (best[0], np.abs(approximate - exact).max()))
print("P:", ", ".join("%.9gf" % c for c in p))
print("Q:", ", ".join("%.9gf" % c for c in q))

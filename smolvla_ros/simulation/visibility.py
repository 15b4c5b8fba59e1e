# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The order in which convex solids are painted (painter's algorithm).

Painting from far to near needs no depth buffer and allows antialiased edges. Sorting by distance alone would paint a
long box over a small one that lies on it, so pairs of solids are compared by a separating plane.
"""

from __future__ import annotations

import numpy as np

from smolvla_ros.arrays import BoolArray, FloatArray
from smolvla_ros.simulation.solids import PosedSolids

FAR_M = 1e3  # beyond any scene
PAINTED = np.iinfo(np.int64).max // 2  # never the minimum again


def painting_order(solids: PosedSolids, eye: FloatArray, overlap: BoolArray) -> list[int]:
    """Indices of the solids, the most distant first, so that each may be painted over those before.

    `eye` is the camera's position (3,), `overlap` (solids, solids) is true for pairs whose images overlap.
    If solids intersect or occlude each other cyclically, no order is correct; the smallest intersections are ignored
    first.
    """
    distance = np.linalg.norm(solids.box_centres - eye, axis=1)
    far_first = np.argsort(-distance)
    lead = np.rint(_lead(solids, eye) * 1e6).astype(np.int64)  # micrometres: whole numbers cancel exactly
    must_wait = np.where(overlap & (lead > 0), lead, 0)[np.ix_(far_first, far_first)]
    waiting = must_wait.sum(axis=0)
    order: list[int] = []
    for _ in range(len(far_first)):
        # 0 for a solid without unpainted ones below it; argmin takes the first of equals, the farthest
        chosen = int(waiting.argmin())
        order.append(int(far_first[chosen]))
        waiting -= must_wait[chosen]
        waiting[chosen] = PAINTED
    return order


def _lead(solids: PosedSolids, eye: FloatArray) -> FloatArray:
    """(below, above): by how many metres the second solid is in front of the first; negative for behind.

    A face plane of A with B completely outside separates the two; the solid on the eye's side of it cannot be hidden by
    the other. Of all face planes of both, the one with the widest gap (or the smallest
    intersection) decides.
    """
    axes, half = solids.box_axes, solids.box_half_sizes
    count = len(axes)
    flat = axes.reshape(-1, 3)
    own = np.einsum("sij,sj->si", axes, solids.box_centres)
    to_centre = (flat @ solids.box_centres.T).reshape(count, 3, count) - own[:, :, None]
    # how far the second reaches to either side of its centre, along each axis of the first
    reach = (np.abs(flat @ flat.T).reshape(count, 3, count, 3) * half).sum(axis=3)
    gaps = np.concatenate([to_centre, -to_centre], axis=1) - np.tile(half[:, :, None] + reach, (1, 2, 1))
    to_eye = axes @ eye - own
    faces_eye = (np.concatenate([to_eye, -to_eye], axis=1) > np.tile(half, (1, 2)))[:, :, None]
    # the second is beyond a face towards the eye; beyond one away from it
    beyond = np.where(faces_eye, gaps, -FAR_M).max(axis=1)
    behind = np.where(faces_eye, -FAR_M, gaps).max(axis=1)
    nearer = np.maximum(beyond, behind.T)
    return np.asarray(nearer - nearer.T)

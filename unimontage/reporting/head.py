"""The head as drawings of the 10-20 system have it: seen from above, nose up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from unimontage.montage.positions import positions_3d

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Circle


def seen_from_above(names: Sequence[str]) -> np.ndarray:
    """Where electrodes stand on a flat head of radius 1, shape (C, 2): distance from CZ is angle, 1 being 90 degrees.

    The template head is tilted, off the origin and longer than wide. It is made a unit sphere whose equator runs
    through FPZ, OZ, T7 and T8, as drawings of the 10-20 system have it.
    """
    ring = positions_3d(("FPZ", "OZ", "T7", "T8"))  # (4, 3)
    _, y, z = ring[0] - ring[1]  # from back to front
    length = np.hypot(y, z)
    tilt = np.array([[1, 0, 0], [0, y / length, z / length], [0, -z / length, y / length]])
    ring = ring @ tilt.T
    centre = np.array([ring[2:, 0].mean(), ring[:2, 1].mean(), ring[:, 2].mean()])
    top = (positions_3d(("CZ",)) @ tilt.T - centre)[0, 2]
    axes = np.array([np.ptp(ring[2:, 0]) / 2, np.ptp(ring[:2, 1]) / 2, top])
    unit = (positions_3d(names) @ tilt.T - centre) / axes  # (C, 3)
    across = np.hypot(unit[:, 0], unit[:, 1])  # (C,)
    angle = np.arctan2(across, unit[:, 2]) / (np.pi / 2)
    return unit[:, :2] * (angle / np.maximum(across, 1e-9))[:, None]


def outline(axes: Axes) -> Circle:
    """Draw the rim of the head, radius 1, with a nose, and leave out everything else; gives the rim."""
    from matplotlib.patches import Circle

    rim = Circle((0, 0), 1, fill=False, color="black", linewidth=1, zorder=4)
    axes.add_patch(rim)
    axes.plot([-0.12, 0, 0.12], [0.99, 1.12, 0.99], color="black", linewidth=1)
    axes.set(aspect="equal", xlim=(-1.25, 1.25), ylim=(-1.25, 1.25))
    axes.set_axis_off()
    return rim

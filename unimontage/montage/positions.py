"""Where electrodes sit on a template head."""

from collections.abc import Sequence
from functools import cache

import numpy as np

from unimontage.errors import UserError
from unimontage.montage.names import canonical, derivation

# The 10-05 system has no cerebellar sites; SEED's CB1 and CB2 are recorded beside PO9 and PO10.
STAND_INS = {"CB1": "PO9", "CB2": "PO10"}


@cache
def _template() -> dict[str, np.ndarray]:
    from mne.channels import get_builtin_montages, make_standard_montage

    # mne renamed the montage and deprecated the old name.
    name = "colin27_1005" if "colin27_1005" in get_builtin_montages() else "standard_1005"
    return {site.upper(): position for site, position in make_standard_montage(name).get_positions()["ch_pos"].items()}


def positions_3d(names: Sequence[str]) -> np.ndarray:
    """Template position of each channel.

    Parameters
    ----------
    names : sequence of str
        Channel names in any spelling.

    Returns
    -------
    ndarray of float64, shape (C, 3)
        x (right), y (front), z (up) in metres, on mne's 10-05 template; a bipolar channel stands half way between its
        electrodes. CB1 and CB2 stand at PO9 and PO10.

    Raises
    ------
    UserError
        If the template lacks an electrode.
    """
    return _places(names, _template())


def positions_2d(names: Sequence[str]) -> np.ndarray:
    """Position of each channel on the flattened head, as share of the width and the length of the whole template.

    Parameters
    ----------
    names : sequence of str
        Channel names in any spelling.

    Returns
    -------
    ndarray of float64, shape (C, 2)
        x (0 left to 1 right) and y (0 back to 1 front). A bipolar channel stands half way between its electrodes.

    Raises
    ------
    UserError
        If the template lacks an electrode.

    Notes
    -----
    Azimuthal equidistant projection about the vertex of the sphere that fits the template best. The unit square spans
    all sites of the 10-05 system and never those of one dataset: an electrode has one place in every montage, and two
    electrodes above one another (Fpz and Oz) have a width to be divided by.
    """
    return _places(names, _flat_template())


def _places(names: Sequence[str], template: dict[str, np.ndarray]) -> np.ndarray:
    """Place of each channel on a template, shape (C, axes of the template)."""
    channels = [canonical(name) for name in names]
    pairs = [derivation(channel) or (channel, channel) for channel in channels]
    sites = [[STAND_INS.get(site, site) for site in pair] for pair in pairs]
    missing = [name for name, pair in zip(names, sites, strict=True) if not template.keys() >= set(pair)]
    if missing:
        raise UserError(
            f"no template position for {', '.join(missing)}",
            expected="electrodes of the 10-05 system",
            mend="use spatial: gat, which needs no positions",
        )
    axes = len(next(iter(template.values())))
    places = np.array([[template[site] for site in pair] for pair in sites], dtype=np.float64)
    return places.reshape(-1, 2, axes).mean(axis=1)  # (C, axes)


@cache
def _flat_template() -> dict[str, np.ndarray]:
    """Every site of the template in the unit square."""
    sites = _template()
    points = np.array(list(sites.values()))  # (S, 3)
    # |p|^2 = 2 centre.p + constant: the sphere of least squares
    system = np.c_[2 * points, np.ones(len(points))]
    centre = np.linalg.lstsq(system, (points**2).sum(axis=1), rcond=None)[0][:3]
    x, y, z = (points - centre).T
    across = np.hypot(x, y)
    scale = np.divide(np.arctan2(across, z), across, out=np.zeros_like(across), where=across > 0)
    flat = np.stack([x * scale, y * scale], axis=1)  # (S, 2): as far from the middle as the angle from the vertex
    low, high = flat.min(axis=0), flat.max(axis=0)
    return dict(zip(sites, (flat - low) / (high - low), strict=True))

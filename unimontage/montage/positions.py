"""Where electrodes sit on a template head."""

from collections.abc import Sequence
from functools import cache

import numpy as np

from unimontage.errors import UserError
from unimontage.montage.names import canonical

# The 10-05 system has no cerebellar sites; SEED's CB1 and CB2 are recorded beside PO9 and PO10.
STAND_INS = {"CB1": "PO9", "CB2": "PO10"}


@cache
def _template() -> dict[str, np.ndarray]:
    from mne.channels import get_builtin_montages, make_standard_montage

    # mne renamed the montage and deprecated the old name.
    name = "colin27_1005" if "colin27_1005" in get_builtin_montages() else "standard_1005"
    return {site.upper(): position for site, position in make_standard_montage(name).get_positions()["ch_pos"].items()}


def positions_3d(names: Sequence[str]) -> np.ndarray:
    """Template position of each electrode.

    Parameters
    ----------
    names : sequence of str
        Electrode names in any spelling.

    Returns
    -------
    ndarray of float64, shape (C, 3)
        x (right), y (front), z (up) in metres, on mne's 10-05 template. CB1 and CB2 stand at PO9 and PO10.

    Raises
    ------
    UserError
        If the template lacks an electrode.
    """
    template = _template()
    sites = [STAND_INS.get(canonical(name), canonical(name)) for name in names]
    missing = [name for name, site in zip(names, sites, strict=True) if site not in template]
    if missing:
        raise UserError(
            f"no template position for {', '.join(missing)}",
            expected="electrodes of the 10-05 system",
            mend="use spatial: gat, which needs no positions",
        )
    return np.array([template[site] for site in sites], dtype=np.float64).reshape(-1, 3)  # (C, 3)

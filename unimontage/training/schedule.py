"""Learning rates as a function of the step."""

import math


def warmup_cosine(step: int, *, steps: int, warmup: int, floor: float = 0.0) -> float:
    """Factor on the peak learning rate: linear warm-up, then half a cosine down to ``floor``.

    Parameters
    ----------
    step : int
        Step from 0.
    steps : int
        Steps in all.
    warmup : int
        Steps of warm-up, fewer than ``steps``.
    floor : float
        Factor at the last step.

    Returns
    -------
    float
        In [0, 1]; 0 at the last step where ``floor`` is 0.
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1, steps - 1 - warmup)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

"""What a job starts from and what it gives, whatever kind of model it trains."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import Field

from unimontage.config.base import Block
from unimontage.config.recipes import Alignment, Encoder, EpochEncoder, Size


class UnivariateStart(Block):
    """What an encoder of single channels is built from."""

    encoder: Encoder
    vocabulary: tuple[str, ...]
    rates: tuple[float, ...]


class AlignedStart(Block):
    """What an alignment and an encoder of whole epochs are built from.

    ``montages`` holds the channels of each dataset of the corpus, ``target`` those of the dataset to be fine-tuned on,
    which may be one of them; in pre-training there is none.
    """

    alignment: Alignment
    encoder: EpochEncoder
    montages: dict[str, tuple[str, ...]]
    target: dict[str, tuple[str, ...]] = Field(default={})
    sfreq_hz: float
    samples: int


class LabramStart(Block):
    """What a backbone of LaBraM is built from, and the tokenizer that it is pre-trained with."""

    size: Size
    tokenizer_size: Size = "base"
    codes: int = 8192
    released_tokenizer: str | None = None


Start = UnivariateStart | AlignedStart | LabramStart


@dataclass(frozen=True)
class Fitted:
    """A trained model's answers on the test windows of a fold.

    Attributes
    ----------
    probabilities : ndarray, shape (N, K), float32
        Class probabilities, or predicted values, of the test windows.
    history : DataFrame
        ``epoch``, ``train_loss``, ``val_loss``; NaN where there is no validation set, no row where there are no epochs.
    epoch : int
        The epoch that was used; 0 where there are none.
    """

    probabilities: np.ndarray
    history: pd.DataFrame
    epoch: int


@dataclass(frozen=True)
class Answer:
    """What one fold, by name, and one seed gave for its test windows, by id, and notes: JSON values."""

    fold: str
    windows: np.ndarray
    seed: int
    fitted: Fitted
    notes: dict[str, object]

    def table(self) -> pd.DataFrame:
        """A row a test window: ``window``, and ``p_0`` to ``p_K``, probabilities or predicted values."""
        columns = {f"p_{k}": column for k, column in enumerate(self.fitted.probabilities.T)}
        return pd.DataFrame({"window": self.windows} | columns)

"""Alignment and encoder together: from any dataset's montage to tokens of one width."""

from collections.abc import Mapping, Sequence
from importlib import import_module

from torch import Tensor, nn

from unimontage.config.recipes import Alignment, EpochEncoder
from unimontage.models.alignment import build_alignment

ENCODERS = {
    "staging": "unimontage.models.staging:StagingEncoder",
    "stager": "unimontage.models.stager:StagerEncoder",
    "seqclr": "unimontage.models.seqclr:SeqCLREncoder",
}


class AlignedEncoder(nn.Module):
    """Epochs (M, C, T) of a named dataset to tokens.

    Parameters
    ----------
    alignment : nn.Module
        From :func:`unimontage.models.alignment.build_alignment`.
    encoder : nn.Module
        Virtual channels (M, rows, T) to tokens (M, P, d).

    Attributes
    ----------
    d : int
        Width of a token.
    single : bool
        Whether the encoder sees every channel by itself; the tokens of all channels then follow each other.
    """

    def __init__(self, alignment: nn.Module, encoder: nn.Module) -> None:
        super().__init__()
        self.alignment, self.encoder = alignment, encoder
        self.d, self.single = encoder.d, alignment.rows is None

    @classmethod
    def build(
        cls, alignment: Alignment, encoder: EpochEncoder, montages: Mapping[str, Sequence[str]], samples: int
    ) -> "AlignedEncoder":
        """From configuration; weights are drawn from torch's global generator.

        Parameters
        ----------
        alignment, encoder : Block
            Their options.
        montages : mapping
            Dataset to channels.
        samples : int
            T.
        """
        aligned = build_alignment(alignment.kind, montages, **alignment.model_dump(exclude={"kind"}))
        module, _, name = ENCODERS[encoder.kind].partition(":")
        options = encoder.model_dump(exclude={"kind"})
        if encoder.kind != "seqclr":  # which takes one row of any length
            options |= {"rows": aligned.rows or 1, "samples": samples}
        return cls(aligned, getattr(import_module(module), name)(**options))

    def tokens(self, x: Tensor, dataset: str, present: Tensor | None = None) -> Tensor:
        """Tokens (M, P, d) of epochs.

        Parameters
        ----------
        x : Tensor, shape (M, C, T)
            Zero where a channel is missing.
        dataset : str
            Whose montage it is.
        present : Tensor, shape (M, C), bool, optional
            Channels that are there; all of them by default.
        """
        aligned = self.alignment(x, dataset, present)  # (M, rows, T)
        if not self.single:
            return self.encoder(aligned)
        tokens = self.encoder(aligned.flatten(0, 1)[:, None])  # (M C, P, d)
        return tokens.unflatten(0, aligned.shape[:2]).flatten(1, 2)  # (M, C P, d)

    def embed(self, x: Tensor, dataset: str, present: Tensor | None = None) -> Tensor:
        """Mean over the tokens, shape (M, d); arguments as in :meth:`tokens`."""
        return self.tokens(x, dataset, present).mean(1)

"""From the tokens of a window to the logits of its classes."""

from __future__ import annotations

from torch import Tensor, nn


class AttentionPooling(nn.Module):
    """Weighted mean of tokens, the weights learned from the tokens themselves.

    Parameters
    ----------
    d : int
        Width of a token.

    Notes
    -----
    MTSSRL-MD, section 3.5: ``score = w . tanh(V h)``, softmax over the tokens.
    """

    def __init__(self, d: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(d, d)
        self.score = nn.Linear(d, 1, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Mean (B, d) of tokens (B, P, d), in any order and of any number."""
        return (self.weights(tokens).to(tokens.dtype).unsqueeze(1) @ tokens).squeeze(1)

    def weights(self, tokens: Tensor) -> Tensor:
        """Weight of each token, (B, P), of tokens (B, P, d); rows sum to 1."""
        return self.score(self.hidden(tokens).tanh()).squeeze(2).softmax(1)


class StagingHead(nn.Module):
    """Attention pooling and a classifier of one hidden layer, or of none.

    Parameters
    ----------
    d, classes : int
        Width of a token; classes.
    hidden : int
        Hidden units; 0 makes the classifier a single linear layer, without norm and dropout.
    dropout : float
        Share of hidden units dropped in training.
    """

    def __init__(self, d: int, classes: int, *, hidden: int = 64, dropout: float = 0.3) -> None:
        super().__init__()
        self.pool = AttentionPooling(d)
        layers = [nn.LayerNorm(d), nn.Linear(d, hidden), nn.GELU(), nn.Dropout(dropout)] if hidden else []
        self.classifier = nn.Sequential(*layers, nn.Linear(hidden or d, classes))

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, classes) of tokens (B, P, d)."""
        return self.classifier(self.pool(tokens))

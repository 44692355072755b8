"""Supervised training of one model on one fold."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from unimontage.config.arms import Finetuning
from unimontage.training.answer import Fitted
from unimontage.training.built import Built
from unimontage.training.folds import Fold, Part
from unimontage.training.loop import require_finite, train
from unimontage.training.schedule import warmup_cosine
from unimontage.windows import WindowView

EVALUATION_BATCH = 256


def fit_fold(
    built: Built, fold: Fold, classes: int, options: Finetuning, *, thawed: int, seed: int, fabric: Fabric
) -> Fitted:
    """Train on a fold and predict its test windows.

    Where the fold has validation windows, the epoch that does best on them is used and training stops after
    ``options.patience`` epochs without a better one, ``thawed`` not counted. Where it has none, as under the paper's
    protocol, the last epoch is.

    Parameters
    ----------
    built : Built
        Model, parameter groups, and when what is frozen thaws.
    fold : Fold
        Normalised.
    classes : int
        K, classes or target values.
    options : Finetuning
        Schedule.
    thawed : int
        Epoch before which training does not stop early, the same for all arms that are compared.
    seed : int
        Seed of the order of the data and of dropout.
    fabric : Fabric
        Device.

    Returns
    -------
    Fitted
        Predictions and history; the model is left with the weights that predicted.
    """
    optimizer = torch.optim.AdamW(built.groups, weight_decay=options.weight_decay)
    wrapped, optimizer = fabric.setup(built.model, optimizer)
    x, y = fold.train.x, torch.from_numpy(fold.train.y)
    regression = fold.train.y.ndim == 2
    plain = nn.MSELoss() if regression else nn.CrossEntropyLoss(_class_weights(fold.train.y, classes, options))
    loss = _training_loss(plain, built.label_smoothing).to(fabric.device)
    per_epoch = max(1, len(y) // options.batch)
    steps = per_epoch * options.epochs
    keeper = _Keeper(built.model, fold.val, plain, options, thawed)

    def batch_at(step: int) -> tuple[int, Tensor, Tensor]:
        order = np.random.default_rng([seed, 3, step // per_epoch]).permutation(len(y))
        rows = np.array_split(order, per_epoch)[step % per_epoch]
        return step, torch.from_numpy(x[rows]), y[rows]

    def loss_of(batch: tuple[int, Tensor, Tensor]) -> Tensor:
        step, windows, labels = batch
        if built.at_epoch and step % per_epoch == 0:
            built.at_epoch(step // per_epoch)
        windows, labels = fabric.to_device((windows, labels))
        return loss(wrapped(windows), labels)

    def after_step(step: int, value: Tensor, norm: Tensor) -> bool:
        keeper.add(value, norm)
        return (step + 1) % per_epoch == 0 and keeper.close_epoch(lambda: predict(wrapped, fold.val.x, fabric))

    train(
        fabric=fabric,
        model=wrapped,
        optimizer=optimizer,
        batch_at=batch_at,
        loss_of=loss_of,
        rate_at=lambda step: warmup_cosine(step, steps=steps, warmup=options.warmup_epochs * per_epoch),
        start=0,
        steps=steps,
        seed=seed,
        clip=options.clip,
        after_step=after_step,
    )
    epoch = keeper.restore()
    logits = predict(wrapped, fold.test.x, fabric)
    answers = logits if regression else logits.softmax(1)
    return Fitted(answers.numpy(), pd.DataFrame(keeper.history), epoch)


def predict(forward: Callable[[Tensor], Tensor], x: np.ndarray | WindowView, fabric: Fabric) -> Tensor:
    """Logits (N, K) of windows (N, C, T), in evaluation mode and without gradients, on the processor."""
    if isinstance(forward, nn.Module):
        forward.eval()
    with torch.no_grad(), fabric.autocast():
        parts = [forward(fabric.to_device(part)).float().cpu() for part in in_order(x, EVALUATION_BATCH)]
    return torch.cat(parts) if parts else torch.empty(0)


def in_order(x: np.ndarray | WindowView, size: int) -> Iterator[Tensor]:
    """Windows from the first to the last, ``size`` at a time."""
    for start in range(0, len(x), size):
        yield torch.from_numpy(x[start : start + size])


def _training_loss(loss: nn.Module, label_smoothing: float) -> nn.Module:
    """The loss that is trained with: labels may be smoothed, those that choose the epoch are not."""
    if isinstance(loss, nn.CrossEntropyLoss):
        return nn.CrossEntropyLoss(loss.weight.clone(), label_smoothing=label_smoothing)
    return loss


def _class_weights(y: np.ndarray, classes: int, options: Finetuning) -> Tensor:
    """One weight a class; a class without training windows gets none."""
    if options.class_weights == "none":
        return torch.ones(classes)
    counts = torch.from_numpy(np.bincount(y, minlength=classes)).float()
    return torch.where(counts > 0, counts.sum() / (counts.clamp(min=1) * (counts > 0).sum()), 0.0)


def _macro_f1(truth: Tensor, logits: Tensor) -> float:
    from sklearn.metrics import f1_score  # takes a second to import, which most jobs need not wait for

    return f1_score(truth, logits.argmax(1), average="macro", zero_division=0)


class _Keeper:
    """Losses by epoch, and the weights of the best epoch so far."""

    def __init__(self, model: nn.Module, val: Part, loss: nn.Module, options: Finetuning, thawed: int) -> None:
        self._model, self._thawed, self._val, self._loss = model, thawed, val, loss
        self._patience, self._by_f1 = options.patience, options.choose_by == "macro_f1" and val.y.ndim == 1
        self._measured: list[Tensor] = []
        self._steps = 0
        self._best = float("inf")
        self._state: dict[str, Tensor] = {}
        self._epoch = 0
        self.history: list[dict[str, float]] = []

    def add(self, loss: Tensor, norm: Tensor) -> None:
        """Note loss and norm of the gradient of a step."""
        self._measured.append(torch.stack([loss.float(), norm.float()]))

    def close_epoch(self, validate: Callable[[], Tensor]) -> bool:
        """Judge the epoch by the logits of the validation windows; whether to stop."""
        measured = torch.stack(self._measured).cpu()  # (steps, 2)
        self._measured.clear()
        require_finite(measured, self._steps)
        self._steps += len(measured)
        epoch, value, badness = len(self.history) + 1, float("nan"), float("nan")
        if len(self._val):
            logits, truth = validate(), torch.from_numpy(self._val.y)
            value = float(self._loss(logits, truth))
            badness = -_macro_f1(truth, logits) if self._by_f1 else value
        self.history.append({"epoch": epoch, "train_loss": float(measured[:, 0].mean()), "val_loss": value})
        if badness < self._best:
            self._best, self._epoch = badness, epoch
            self._state = {name: tensor.detach().clone() for name, tensor in self._model.state_dict().items()}
        return len(self._val) > 0 and epoch - max(self._epoch, self._thawed) >= self._patience

    def restore(self) -> int:
        """Put the best epoch's weights back; without validation the last ones stay. The epoch that counts."""
        if not self._state:
            return len(self.history)
        self._model.load_state_dict(self._state)
        return self._epoch

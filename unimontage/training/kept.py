"""Answers of folds and seeds that are done, kept until a job is: one that is stopped loses one of them at the most."""

import json
import logging
import shutil
from pathlib import Path

import pandas as pd

from unimontage.errors import UserError
from unimontage.splits.files import read_table, write_table
from unimontage.training.answer import Answer, Fitted

logger = logging.getLogger("unimontage")


class Kept:
    """Answers in a folder, one file each.

    Parameters
    ----------
    folder : Path
        No declared output of a rule, because Snakemake deletes those before it tries again.
    identity : str
        What the answers are made of (code, configuration, data); those of another identity are not used.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self._folder, self._identity = folder, identity

    def get(self, fold: str, seed: int) -> Answer | None:
        """The answer of a fold and seed; None where there is none that can be read."""
        path = self._path(fold, seed)
        if not path.exists():
            return None
        try:
            table = read_table(path)
        except UserError as error:
            logger.warning("%s: trained anew", error.what)
            return None
        if table.facts["identity"] != self._identity:
            return None
        probabilities = table.rows.drop(columns="window").to_numpy()
        history = pd.DataFrame(table.facts["history"])
        fitted = Fitted(probabilities, history, table.facts["epoch"])
        return Answer(fold, table.rows["window"].to_numpy(dtype=object), seed, fitted, json.loads(table.facts["notes"]))

    def add(self, answer: Answer) -> None:
        """Keep an answer."""
        facts = {
            "identity": self._identity,
            "epoch": answer.fitted.epoch,
            "notes": json.dumps(answer.notes),  # as text: a header sorts its keys
            "history": answer.fitted.history.to_dict("list"),
        }
        write_table(self._path(answer.fold, answer.seed), answer.table(), facts)

    def clear(self) -> None:
        """Forget all answers."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, fold: str, seed: int) -> Path:
        return self._folder / f"{fold}_seed-{seed}.parquet"

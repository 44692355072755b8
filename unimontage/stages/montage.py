"""Rule montage: what became of the electrodes of a dataset, in its recordings and in each model."""

import json
from pathlib import Path

from unimontage.montage.contract import AS_RECORDED, State, recorded
from unimontage.reporting.montage_card import contract_table, montage_card
from unimontage.stages.evaluate import write_text
from unimontage.stages.figures import save
from unimontage.stages.request import Request, logger


class MontageRequest(Request):
    """Draw the montage of a dataset."""

    quality: tuple[Path, ...]
    dataset: str
    channels: tuple[str, ...]
    models: dict[str, dict[str, State]]
    figure: Path
    table: Path


def draw_montage(request: MontageRequest) -> None:
    """A head for the recordings and one for each model, and the same as a table."""
    files = [json.loads(path.read_text()) for path in request.quality]
    # A recording that gave no window was not looked at closely.
    sessions = [session for file in files for session in file["sessions"].values() if session["windows"]]
    contract = {AS_RECORDED: recorded(request.channels, sessions)} | request.models
    table = contract_table(contract)
    write_text(request.table, table.to_csv(index=False))
    title = f"{request.dataset}: what becomes of its electrodes"
    save(montage_card(contract, synthetic=any(file["synthetic"] for file in files), title=title), request.figure)
    for model, states in table.groupby("model", sort=False)["state"]:
        logger.info("%s: %s", model, ", ".join(f"{count} {state}" for state, count in states.value_counts().items()))

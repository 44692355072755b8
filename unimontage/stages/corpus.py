"""Rule corpus: which windows an encoder is pre-trained on."""

from pathlib import Path

import pandas as pd

from unimontage.splits.files import write_table
from unimontage.stages.request import Request, logger
from unimontage.windows import WindowStore


class CorpusRequest(Request):
    """List the windows that a pre-training may see."""

    windows: tuple[Path, ...]
    corpus: str
    holdout: str
    ids: Path


def corpus(request: CorpusRequest) -> None:
    """Write the ids and content digests of a corpus's windows."""
    stores = [WindowStore.open(path) for path in request.windows]
    rows = pd.concat([store.table[["window", "digest"]] for store in stores], ignore_index=True)
    write_table(
        request.ids,
        rows,
        {
            "corpus": request.corpus,
            "holdout": request.holdout,
            "tables": {
                f"{s.attributes['dataset']}/{s.attributes['subject']}": s.attributes["table_hash"] for s in stores
            },
            "synthetic": any(store.attributes["synthetic"] for store in stores),
            "code": request.code,
        },
    )
    logger.info("%d windows of %d subjects", len(rows), len(stores))

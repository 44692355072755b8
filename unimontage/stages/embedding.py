"""Rule embedding: what a pre-trained encoder makes of single channels, in two dimensions."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA

from unimontage.config.recipes import Encoder
from unimontage.datasets import facts
from unimontage.models.encoder import UnivariateEncoder
from unimontage.models.weights import load_weights, read_config
from unimontage.montage.schema import Vocabulary
from unimontage.reporting import figures as draw
from unimontage.splits.files import read_table
from unimontage.stages.figures import save
from unimontage.stages.request import Request
from unimontage.training.corpus import SegmentCorpus
from unimontage.windows import WindowStore


class EmbeddingRequest(Request):
    """Draw the embeddings of a pre-trained encoder."""

    windows: tuple[Path, ...]
    ids: Path
    weights: Path
    method: str
    windows_per_dataset: int
    figure: Path


def draw_embedding(request: EmbeddingRequest) -> None:
    """Embed one random channel of each of some windows and draw them by electrode and by class."""
    config = read_config(request.weights)
    vocabulary = Vocabulary.from_list(config["vocabulary"])
    encoder = UnivariateEncoder(Encoder.model_validate(config["encoder"]), len(vocabulary), len(config["rates_hz"]))
    load_weights(encoder, request.weights)
    stores = [WindowStore.open(path) for path in request.windows]
    ids = read_table(request.ids)
    corpus = SegmentCorpus(stores, ids.rows["window"], vocabulary, config["rates_hz"])
    rng = np.random.default_rng(0)
    datasets = len({store.attributes["dataset"] for store in stores})
    chosen = rng.permutation(len(corpus))[: request.windows_per_dataset * datasets]
    with torch.no_grad():
        encoder.eval()
        parts = corpus.segments(chosen, rng)
        embeddings = torch.cat([encoder.embed(part.x, part.channel, part.rate) for part in parts]).numpy()
    channels = [vocabulary.names[index - 1] for part in parts for index in part.channel.tolist()]
    rows = np.concatenate([part.window for part in parts])
    labels = _labels(stores, ids.rows["window"])
    points = _flatten(embeddings, request.method)
    title = f"Embeddings of {config['corpus'].replace('+', ', ')}"
    classes = [labels[row] for row in rows]
    save(draw.embedding_map(points, channels, classes, synthetic=config["synthetic"], title=title), request.figure)


def _labels(stores: list[WindowStore], windows: pd.Series) -> list[str]:
    """Dataset and class of every window of the corpus, for each dataset's first task, in the corpus's order."""
    labels = []
    for store in stores:
        dataset = store.attributes["dataset"]
        task = next(iter(facts(dataset).tasks.values()), None)
        seen = store.table[store.table["window"].isin(windows)]
        if task is None or task.regression:
            labels += [dataset] * len(seen)
            continue
        names = (*task.classes, "unlabelled")
        labels += [f"{dataset} {names[target]}" for target in task.targets(seen)]
    return labels


def _flatten(embeddings: np.ndarray, method: str) -> np.ndarray:
    """Two dimensions of embeddings (N, d)."""
    if method == "umap":
        from umap import UMAP

        return UMAP(random_state=0, n_jobs=1).fit_transform(embeddings)
    return PCA(2, random_state=0).fit_transform(embeddings)

"""Rules alignment_figure and task_weights_figure: what a pre-training on several montages has learned."""

from pathlib import Path

import pandas as pd
import torch

from unimontage.models.aligned import AlignedEncoder
from unimontage.models.weights import load_weights, read_config
from unimontage.reporting import sleep_figures as draw
from unimontage.stages.figures import save
from unimontage.stages.request import Request
from unimontage.training.answer import AlignedStart


class AlignmentFigureRequest(Request):
    """Draw a channel alignment."""

    weights: Path
    figure: Path


class TaskWeightsRequest(Request):
    """Draw the learned weights of the objectives."""

    histories: tuple[Path, ...]
    synthetic: bool
    figure: Path


def draw_alignment(request: AlignmentFigureRequest) -> None:
    """Weight of each electrode in the virtual channels, a head a dataset."""
    config = read_config(request.weights)
    start = AlignedStart.model_validate({name: config[name] for name in AlignedStart.model_fields if name in config})
    encoder = AlignedEncoder.build(start.alignment, start.encoder, start.montages, start.samples)
    load_weights(encoder, request.weights)
    with torch.no_grad():
        weights = {dataset: encoder.alignment.weights(dataset).numpy() for dataset in start.montages}
    title = f"What the channel alignment takes from each electrode, corpus {config['corpus'].replace('+', ', ')}"
    save(draw.alignment_topomaps(weights, start.montages, synthetic=config["synthetic"], title=title), request.figure)


def draw_task_weights(request: TaskWeightsRequest) -> None:
    """Weight, sigma and loss of every objective by step."""
    parts = [pd.read_csv(path).assign(seed=number) for number, path in enumerate(request.histories)]
    save(draw.task_weights(pd.concat(parts), synthetic=request.synthetic), request.figure)

"""Rule task_weights_figure: read the request, call the stage."""

from unimontage.stages.alignment import draw_task_weights
from unimontage.stages.request import run

run(draw_task_weights, snakemake)  # noqa: F821

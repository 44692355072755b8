"""Rule pretraining_figure: read the request, call the stage."""

from unimontage.stages.figures import draw_pretraining
from unimontage.stages.request import run

run(draw_pretraining, snakemake)  # noqa: F821

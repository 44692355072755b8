"""Rule figures: read the request, call the stage."""

from unimontage.stages.figures import draw_target
from unimontage.stages.request import run

run(draw_target, snakemake)  # noqa: F821

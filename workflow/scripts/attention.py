"""Rule attention: read the request, call the stage."""

from unimontage.stages.figures import draw_attention
from unimontage.stages.request import run

run(draw_attention, snakemake)  # noqa: F821

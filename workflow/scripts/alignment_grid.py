"""Rule alignment_grid: read the request, call the stage."""

from unimontage.stages.pooled import draw_grid
from unimontage.stages.request import run

run(draw_grid, snakemake)  # noqa: F821

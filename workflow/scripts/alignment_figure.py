"""Rule alignment_figure: read the request, call the stage."""

from unimontage.stages.alignment import draw_alignment
from unimontage.stages.request import run

run(draw_alignment, snakemake)  # noqa: F821

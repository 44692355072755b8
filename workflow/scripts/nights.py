"""Rule nights: read the request, call the stage."""

from unimontage.stages.pooled import draw_nights
from unimontage.stages.request import run

run(draw_nights, snakemake)  # noqa: F821

"""Rule montage: read the request, call the stage."""

from unimontage.stages.montage import draw_montage
from unimontage.stages.request import run

run(draw_montage, snakemake)  # noqa: F821

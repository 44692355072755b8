"""Rule contrast: read the request, call the stage."""

from unimontage.stages.contrast import contrast
from unimontage.stages.request import run

run(contrast, snakemake)  # noqa: F821

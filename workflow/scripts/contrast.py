"""Rule contrast: read the request, call the stage."""

from unimontage.stages.evaluate import contrast
from unimontage.stages.request import run

run(contrast, snakemake)  # noqa: F821

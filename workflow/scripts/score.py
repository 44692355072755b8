"""Rule score: read the request, call the stage."""

from unimontage.stages.evaluate import score
from unimontage.stages.request import run

run(score, snakemake)  # noqa: F821

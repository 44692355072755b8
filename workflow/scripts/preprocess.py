"""Rule preprocess: read the request, call the stage."""

from unimontage.stages.preprocess import preprocess
from unimontage.stages.request import run

run(preprocess, snakemake)  # noqa: F821

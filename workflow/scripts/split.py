"""Rule split: read the request, call the stage."""

from unimontage.stages.request import run
from unimontage.stages.split import split

run(split, snakemake)  # noqa: F821

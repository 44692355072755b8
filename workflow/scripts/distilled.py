"""Rule distilled: read the request, call the stage."""

from unimontage.stages.distilled import compare
from unimontage.stages.request import run

run(compare, snakemake)  # noqa: F821

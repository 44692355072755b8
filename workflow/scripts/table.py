"""Rule table: read the request, call the stage."""

from unimontage.stages.evaluate import tabulate
from unimontage.stages.request import run

run(tabulate, snakemake)  # noqa: F821

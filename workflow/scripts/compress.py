"""Rule compress: read the request, call the stage."""

from unimontage.stages.compress import compress
from unimontage.stages.request import run

run(compress, snakemake)  # noqa: F821

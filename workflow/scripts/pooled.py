"""Rule pooled: read the request, call the stage."""

from unimontage.stages.pooled import pool_target
from unimontage.stages.request import run

run(pool_target, snakemake)  # noqa: F821

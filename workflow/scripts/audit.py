"""Rule audit: read the request, call the stage."""

from unimontage.stages.audit import audit
from unimontage.stages.request import run

run(audit, snakemake)  # noqa: F821

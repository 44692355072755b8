"""Rule report: read the request, call the stage."""

from unimontage.stages.report import report
from unimontage.stages.request import run

run(report, snakemake)  # noqa: F821

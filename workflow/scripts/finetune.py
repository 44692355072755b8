"""Rule finetune: read the request, call the stage."""

from unimontage.stages.finetune import finetune
from unimontage.stages.request import run

run(finetune, snakemake)  # noqa: F821

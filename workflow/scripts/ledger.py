"""Rule ledger: read the request, call the stage."""

from unimontage.stages.ledger import account
from unimontage.stages.request import run

run(account, snakemake)  # noqa: F821

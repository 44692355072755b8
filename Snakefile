# unimontage: pre-train one EEG model over many datasets.
# Data flows from top to bottom; each file under rules/ is one stage. Start reading at rules/data.smk.
from snakemake.utils import min_version

min_version("9.0")


if not workflow.configfiles:

    configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/containers.smk"
include: "rules/data.smk"
include: "rules/preprocess.smk"
include: "rules/splits.smk"
include: "rules/distill.smk"
include: "rules/pretrain.smk"
include: "rules/within_subject.smk"
include: "rules/cross_subject.smk"
include: "rules/transfer.smk"
include: "rules/evaluate.smk"
include: "rules/report.smk"


report: "workflow/report/workflow.rst"


localrules:
    all,
    prepared,
    pretrained,
    evaluated,
    containers_check,


rule all:
    """Every table and figure of the run, and the page that holds them."""
    default_target: True
    input:
        targets.evaluated(),
        targets.figures(),
        paths.report,


rule prepared:
    """Windows of every subject, and no training."""
    input:
        targets.prepared(),


rule pretrained:
    """Every encoder that the run's arms start from."""
    input:
        targets.pretrained(),


rule evaluated:
    """Every table, without figures."""
    input:
        targets.evaluated(),


rule containers_check:
    """What jobs find around themselves: versions against the lock, origin of packages, GPUs."""
    input:
        paths.environment("cpu"),
        paths.environment("gpu"),
    log:
        paths.log("containers_check"),
    container:
        compute
    shell:
        "cat {input} | tee {log}"

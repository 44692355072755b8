# Which windows train, validate, test and pre-train.


rule split:
    """Divide the windows of target subjects into folds under a protocol."""
    input:
        windows=inputs.pool_windows,
    output:
        split=paths.split,
    params:
        dataset="{dataset}",
        task="{task}",
        protocol="{protocol}",
        subjects=params_of.members,
        roles=params_of.roles,
        splits=plain(experiment.splits),
        code=params_of.dataset_code("stages.split"),
    log:
        paths.log("split", "dataset", "task", "protocol", "subjects"),
    benchmark:
        paths.benchmark("split", "dataset", "task", "protocol", "subjects")
    resources:
        mem_mb=gigabytes(2),
        runtime=minutes(20),
    container:
        compute
    script:
        "../workflow/scripts/split.py"


rule corpus:
    """List the windows that a pre-training may see."""
    input:
        windows=inputs.corpus_windows,
    output:
        ids=paths.pretraining_split,
    params:
        corpus="{corpus}",
        holdout="{holdout}",
        code=fingerprint("stages.corpus"),
    log:
        paths.log("corpus", "corpus", "holdout"),
    benchmark:
        paths.benchmark("corpus", "corpus", "holdout")
    resources:
        mem_mb=gigabytes(2),
        runtime=minutes(20),
    container:
        compute
    script:
        "../workflow/scripts/corpus.py"


rule audit:
    """Search a split, and the pre-training of the arms that use it, for leaks; nothing trains before it passes."""
    input:
        windows=inputs.pool_windows,
        split=paths.split,
        corpora=inputs.corpora,
    output:
        audit=paths.audit,
    params:
        code=fingerprint("stages.audit"),
    log:
        paths.log("audit", "dataset", "task", "protocol", "corpus", "holdout", "subjects"),
    benchmark:
        paths.benchmark("audit", "dataset", "task", "protocol", "corpus", "holdout", "subjects")
    resources:
        mem_mb=gigabytes(4),
        runtime=minutes(20),
    container:
        compute
    script:
        "../workflow/scripts/audit.py"

# Train and test on the same subject: one job is one dataset, task, protocol and arm, and a few subjects in turn, with all
# their folds and seeds.


rule within_subject:
    """Fine-tune an arm within each of a few subjects and predict the test windows."""
    input:
        split=paths.split,  # changes whenever one of its windows does, and keeps the DAG small
        audit=inputs.audit,
        weights=inputs.weights,
    output:
        predictions=paths.predictions("within_subject"),
        history=paths.history("within_subject"),
        card=paths.card("within_subject"),
    params:
        windows=inputs.pool_windows,
        arm=params_of.arm,
        start=params_of.start,
        finetuning=plain(experiment.finetuning),
        thawed=params_of.thawed,
        seeds=list(experiment.seeds),
        order_seed=experiment.order_seed,
        precision=experiment.precision,
        resume=paths.resume_of,
        code=params_of.finetune_code,
    log:
        paths.log("within_subject", "dataset", "task", "protocol", "arm", "subjects"),
    benchmark:
        paths.benchmark("within_subject", "dataset", "task", "protocol", "arm", "subjects")
    threads: 4
    resources:
        gpu=params_of.gpu,
        mem_mb=gigabytes(8),
        runtime=minutes(90, each=30),
    container:
        compute
    script:
        "../workflow/scripts/finetune.py"

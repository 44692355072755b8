# Train and test on the same subject: one job is one dataset, task, protocol, arm and subject, with all folds and seeds.


rule within_subject:
    """Fine-tune an arm within a subject and predict the test windows."""
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
        precision=experiment.precision,
        resume=paths.resume_of,
        code=params_of.finetune_code,
    log:
        paths.log("within_subject", "dataset", "task", "protocol", "arm", "subject"),
    benchmark:
        paths.benchmark("within_subject", "dataset", "task", "protocol", "arm", "subject")
    threads: 4
    resources:
        gpu=params_of.gpu,
        mem_mb=gigabytes(8),
        runtime=minutes(120),
    container:
        compute
    script:
        "../workflow/scripts/finetune.py"

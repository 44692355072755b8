# Self-supervised pre-training.


rule pretrain:
    """Pre-train one recipe on one corpus with one seed."""
    input:
        ids=inputs.pretraining_ids,  # changes whenever one of its windows does, and keeps the DAG small
        tokenizer=inputs.tokenizer,
    output:
        weights=paths.weights,
        config=paths.weights_config,
        history=paths.pretraining_history,
    params:
        windows=inputs.corpus_windows,
        recipe=params_of.recipe,
        start=params_of.pretraining_start,
        seed="{seed}",
        order_seed=experiment.order_seed,
        precision=experiment.precision,
        resume=paths.resume(paths.pretraining),  # no output: Snakemake deletes outputs when it retries
        events=paths.events,
        code=params_of.pretrain_code,
    log:
        paths.log("pretrain", "recipe", "corpus", "holdout", "seed"),
    benchmark:
        paths.benchmark("pretrain", "recipe", "corpus", "holdout", "seed")
    threads: 8
    resources:
        gpu=1,
        mem_mb=gigabytes(32),
        runtime=minutes(360),
    container:
        compute
    script:
        "../workflow/scripts/pretrain.py"

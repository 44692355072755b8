# Which windows of a corpus are worth pre-training on.


rule compress:
    """Train a compressor on a corpus and encode every window of it."""
    input:
        ids=paths.pretraining_split,  # changes whenever one of its windows does, and keeps the DAG small
    output:
        weights=paths.compressor,
        config=paths.compressor_config,
        latents=paths.latents,
        latent_ids=paths.latent_ids,
        history=paths.compressor_history,
    params:
        windows=inputs.corpus_windows,
        compressor=params_of.compressor,
        seed=params_of.compressor_seed,
        precision=experiment.precision,
        resume=paths.resume(paths.compressor),  # no output: Snakemake deletes outputs when it retries
        events=paths.selected("tensorboard").replace("{selection}", "{compressor}"),
        code=fingerprint("stages.compress"),
    log:
        paths.log("compress", "compressor", "corpus", "holdout"),
    benchmark:
        paths.benchmark("compress", "compressor", "corpus", "holdout")
    threads: 8
    resources:
        gpu=1,
        mem_mb=gigabytes(32),
        runtime=minutes(240),
    container:
        compute
    script:
        "../workflow/scripts/compress.py"


rule select:
    """Choose the windows of a corpus that a pre-training sees."""
    input:
        unpack(inputs.parts),
    output:
        kept=paths.selection,
        table=paths.selected("windows.parquet"),
        card=paths.selected("card.json"),
        html=report(
            paths.selected("card.html"),
            caption="../workflow/report/selection_card.rst",
            category="Distillation",
            labels={"selection": "{selection}", "corpus": "{corpus}", "what": "card"},
        ),
        gallery=report(
            paths.selected("gallery.png"),
            caption="../workflow/report/gallery.rst",
            category="Distillation",
            labels={"selection": "{selection}", "corpus": "{corpus}", "what": "kept and dropped windows"},
        ),
        shares=report(
            paths.selected("shares.png"),
            caption="../workflow/report/kept_shares.rst",
            category="Distillation",
            labels={"selection": "{selection}", "corpus": "{corpus}", "what": "what was kept"},
        ),
    params:
        windows=inputs.corpus_windows,
        distill=params_of.distill,
        parts=params_of.parts,
        corpus="{corpus}",
        holdout="{holdout}",
        selection="{selection}",
        code=params_of.select_code,
    log:
        paths.log("select", "selection", "corpus", "holdout"),
    benchmark:
        paths.benchmark("select", "selection", "corpus", "holdout")
    threads: 4
    resources:
        mem_mb=gigabytes(16),
        runtime=minutes(120),
    container:
        compute
    script:
        "../workflow/scripts/select.py"

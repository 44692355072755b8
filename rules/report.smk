# Pictures of what tables cannot show, and the page that holds all that rules declare with report().


rule figures:
    """Scores of single subjects, confusion of classes and learning curves on a target."""
    input:
        table=paths.scores,  # changes whenever a prediction does, and keeps the DAG small
    output:
        accuracies=report(
            paths.figure("accuracies"),
            caption="../workflow/report/subject_accuracies.rst",
            category="Subjects",
            labels=target_labels,
        ),
        confusion=report(
            paths.figure("confusion"),
            caption="../workflow/report/confusion_matrices.rst",
            category="Confusion of classes",
            labels=target_labels,
        ),
        learning=report(
            paths.figure("learning"),
            caption="../workflow/report/learning_curves.rst",
            category="Learning curves",
            labels=target_labels,
        ),
    params:
        windows=inputs.dataset_windows,
        predictions=inputs.predictions,
        histories=inputs.histories,
        arms=params_of.arms,
        threshold_inclusive=experiment.splits.threshold_inclusive,
        evaluation=plain(experiment.evaluation),
        code=fingerprint("stages.figures"),
    log:
        paths.log("figures", "comparison", "dataset", "task", "protocol"),
    benchmark:
        paths.benchmark("figures", "comparison", "dataset", "task", "protocol")
    resources:
        mem_mb=gigabytes(4),
        runtime=minutes(30),
    container:
        compute
    script:
        "../workflow/scripts/figures.py"


rule ranks:
    """Which arms can be told apart on a target, where more than three meet."""
    input:
        scores=paths.scores,
    output:
        table=paths.ranks,
        figure=report(
            paths.figure("ranks"),
            caption="../workflow/report/critical_differences.rst",
            category="Results",
            labels=target_labels,
        ),
    params:
        evaluation=plain(experiment.evaluation),
        code=fingerprint("stages.ranks"),
    log:
        paths.log("ranks", "comparison", "dataset", "task", "protocol"),
    benchmark:
        paths.benchmark("ranks", "comparison", "dataset", "task", "protocol")
    resources:
        mem_mb=gigabytes(2),
        runtime=minutes(20),
    container:
        compute
    script:
        "../workflow/scripts/ranks.py"


rule attention:
    """Attention that electrodes receive, on the scalp."""
    input:
        table=paths.scores,
    output:
        figure=report(
            paths.figure("attention"),
            caption="../workflow/report/attention_topomap.rst",
            category="Attention",
            labels=target_labels,
        ),
    params:
        cards=inputs.cards,
        arms=params_of.attentive,
        code=fingerprint("stages.figures"),
    log:
        paths.log("attention", "comparison", "dataset", "task", "protocol"),
    benchmark:
        paths.benchmark("attention", "comparison", "dataset", "task", "protocol")
    resources:
        mem_mb=gigabytes(2),
        runtime=minutes(30),
    container:
        compute
    script:
        "../workflow/scripts/attention.py"


rule montage:
    """What becomes of the electrodes of a dataset, in its recordings and in each model."""
    input:
        quality=inputs.dataset_quality,
    output:
        figure=report(
            paths.montage("png"),
            caption="../workflow/report/montage_card.rst",
            category="Montages",
            labels={"dataset": "{dataset}", "what": "montage"},
        ),
        table=paths.montage("csv"),
    params:
        dataset="{dataset}",
        channels=params_of.channels,
        models=params_of.montages,
        code=fingerprint("stages.montage"),
    log:
        paths.log("montage", "dataset"),
    benchmark:
        paths.benchmark("montage", "dataset")
    resources:
        mem_mb=gigabytes(2),
        runtime=minutes(20),
    container:
        compute
    script:
        "../workflow/scripts/montage.py"


rule alignment_figure:
    """Weight of each electrode in the virtual channels, on the scalp."""
    input:
        weights=inputs.first_weights,
    output:
        figure=report(
            paths.figure("alignment"),
            caption="../workflow/report/alignment_topomaps.rst",
            category="Pre-training",
            labels={"recipe": "{recipe}", "corpus": "{corpus}", "what": "channel alignment"},
        ),
    params:
        code=fingerprint("stages.alignment"),
    log:
        paths.log("alignment_figure", "recipe", "corpus", "holdout"),
    benchmark:
        paths.benchmark("alignment_figure", "recipe", "corpus", "holdout")
    resources:
        mem_mb=gigabytes(2),
        runtime=minutes(20),
    container:
        compute
    script:
        "../workflow/scripts/alignment_figure.py"


rule task_weights_figure:
    """Learned weights of the objectives, by step."""
    input:
        histories=inputs.pretraining_histories,
    output:
        figure=report(
            paths.figure("task_weights"),
            caption="../workflow/report/task_weights.rst",
            category="Pre-training",
            labels={"recipe": "{recipe}", "corpus": "{corpus}", "what": "weights of the objectives"},
        ),
    params:
        synthetic=plan.synthetic,
        code=fingerprint("stages.alignment"),
    log:
        paths.log("task_weights_figure", "recipe", "corpus", "holdout"),
    benchmark:
        paths.benchmark("task_weights_figure", "recipe", "corpus", "holdout")
    resources:
        mem_mb=gigabytes(2),
        runtime=minutes(20),
    container:
        compute
    script:
        "../workflow/scripts/task_weights_figure.py"


rule pretraining_figure:
    """Loss, spread and learning rate of a pre-training."""
    input:
        histories=inputs.pretraining_histories,
    output:
        figure=report(
            paths.figure("pretraining"),
            caption="../workflow/report/pretraining_curves.rst",
            category="Pre-training",
            labels={"recipe": "{recipe}", "corpus": "{corpus}", "what": "curves"},
        ),
    params:
        synthetic=plan.synthetic,
        code=fingerprint("stages.figures"),
    log:
        paths.log("pretraining_figure", "recipe", "corpus", "holdout"),
    benchmark:
        paths.benchmark("pretraining_figure", "recipe", "corpus", "holdout")
    resources:
        mem_mb=gigabytes(2),
        runtime=minutes(20),
    container:
        compute
    script:
        "../workflow/scripts/pretraining_figure.py"


rule embedding:
    """Embeddings of single channels in two dimensions, by electrode and by class."""
    input:
        ids=paths.pretraining_split,
        weights=inputs.first_weights,
    output:
        figure=report(
            paths.figure("embedding"),
            caption="../workflow/report/embedding_map.rst",
            category="Pre-training",
            labels={"recipe": "{recipe}", "corpus": "{corpus}", "what": "embeddings"},
        ),
    params:
        windows=inputs.corpus_windows,
        method=experiment.report.embedding,
        windows_per_dataset=experiment.report.embedding_windows,
        code=fingerprint("stages.embedding"),
    log:
        paths.log("embedding", "recipe", "corpus", "holdout"),
    benchmark:
        paths.benchmark("embedding", "recipe", "corpus", "holdout")
    resources:
        mem_mb=gigabytes(8),
        runtime=minutes(30),
    container:
        compute
    script:
        "../workflow/scripts/embedding.py"


rule report:
    """One page with everything that the run has to show."""
    input:
        files=targets.evaluated() + targets.figures(),
    output:
        page=paths.report,
    params:
        exhibits=lambda wildcards, input: exhibits(workflow.rules, input.files),
        captions=lambda wildcards, input: captions(exhibits(workflow.rules, input.files)),
        comparisons=params_of.comparisons(paths),
        cards=inputs.first_cards(),
        subjects=params_of.counted_subjects(),
        config=experiment.model_dump(mode="json", exclude={"adopt"}),  # said once, by whoever goes on
        synthetic=plan.synthetic,
        code=fingerprint("stages.report"),
    log:
        paths.log("report"),
    benchmark:
        paths.benchmark("report")
    resources:
        mem_mb=gigabytes(2),
        runtime=minutes(20),
    container:
        compute
    script:
        "../workflow/scripts/report.py"

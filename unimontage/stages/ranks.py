"""Rule ranks: which arms can be told apart on a target."""

from pathlib import Path

from unimontage.config.evaluation import Evaluation
from unimontage.evaluation.aggregate import per_subject
from unimontage.evaluation.ranks import rank_arms
from unimontage.evaluation.scales import scale_of
from unimontage.reporting.rank_figure import critical_differences
from unimontage.splits.files import read_table
from unimontage.stages.evaluate import write_text
from unimontage.stages.figures import save
from unimontage.stages.request import Request


class RanksRequest(Request):
    """Rank the arms of one target."""

    scores: Path
    evaluation: Evaluation
    table: Path
    figure: Path


def rank_target(request: RanksRequest) -> None:
    """Mean ranks of all arms with the p of each pair, as a table and as a critical-difference diagram."""
    scores, options = read_table(request.scores), request.evaluation
    subjects = per_subject(scores.rows)
    metric = options.metric if (subjects["metric"] == options.metric).any() else options.regression_metric
    chosen = subjects[(subjects["unit"] == options.unit) & (subjects["metric"] == metric)]
    wide = chosen.pivot(index="subject", columns="arm", values="value")[list(chosen["arm"].unique())]
    ranking = rank_arms(wide, scale_of(metric).lower_is_better)
    facts = {"metric": metric, "unit": options.unit, "n": ranking.n_subjects, "friedman_p": ranking.p}
    data = "SYNTHETIC" if scores.facts["synthetic"] else "real"
    table = ranking.pairs.assign(**facts, data=data, note=ranking.reason)
    write_text(request.table, table.to_csv(index=False))
    where = " ".join(chosen[["dataset", "task", "protocol"]].iloc[0])
    figure = critical_differences(
        ranking, confidence=options.confidence, synthetic=scores.facts["synthetic"], title=f"Mean ranks, {where}"
    )
    save(figure, request.figure)

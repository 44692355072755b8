"""Command line: hold real files against the facts, foresee and watch a run, show its results."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from unimontage.errors import UserError

PARTS = ("results", "leakage", "published", "distilled", "efficiency")
"""Tables of a comparison, in the order in which they are printed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 0 unless something disagrees or is not there."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1


def _inspect(options: argparse.Namespace) -> int:
    from unimontage.datasets.inspection import show

    return show(options.dataset, Path(options.path))


def _results(options: argparse.Namespace) -> int:
    from unimontage.dag.history import history

    comparisons = sorted(Path(options.run).glob("tables/*"))
    texts = [path for folder in comparisons for part in PARTS if (path := folder / f"{part}.txt").exists()]
    if not texts:
        raise UserError(
            f"{options.run} holds no tables",
            expected="the folder of a finished run, for example results/demo",
            mend="snakemake --profile profiles/local",
        )
    for path in texts:
        print(path.read_text(encoding="utf-8"))
    for kept in history(options.run)[-1:]:
        print(
            f"Configuration {kept.path}, since {kept.date}. Where a number comes from: unimontage explain TABLE WORDS"
        )
    return 0


def _explain(options: argparse.Namespace) -> int:
    from unimontage.dag.explain import explain

    for line in explain(options.result, options.words):
        print(line)
    return 0


def _ledger(options: argparse.Namespace) -> int:
    from unimontage.dag.fillers import fillers
    from unimontage.reporting.ledger_rendering import ledger_text
    from unimontage.stages.ledger import book, measured_tables, write_ledger

    table = book(measured_tables(options.run), fillers())
    print(ledger_text(table))
    if options.out is not None:
        files = {suffix: options.out / f"ledger.{suffix}" for suffix in ("csv", "html", "txt")}
        write_ledger(table, f"Reproduction ledger: {', '.join(run.name for run in options.run) or 'no run'}", **files)
    return 0


def _forecast(options: argparse.Namespace) -> int:
    from unimontage.dag.forecast import benchmarks, forecast, forecast_text
    from unimontage.dag.jobs import planned_jobs

    print(forecast_text(forecast(planned_jobs(options.config), benchmarks(options.like))))
    return 0


def _status(options: argparse.Namespace) -> int:
    from unimontage.dag.failures import failures, last_run
    from unimontage.dag.forecast import progress_text
    from unimontage.dag.jobs import planned_jobs

    print(progress_text(planned_jobs(options.config), failures(last_run())))
    return 0


def _preflight(options: argparse.Namespace) -> int:
    from unimontage.dag.findings import PROBLEM
    from unimontage.dag.preflight import preflight, preflight_text

    problems = 0
    for finding in preflight(options.config, options.profile or [Path("profiles/slurm")]):
        print(preflight_text(finding), flush=True)
        problems += finding.mark == PROBLEM
    return 1 if problems else 0


def _resources(options: argparse.Namespace) -> int:
    from unimontage.dag.forecast import benchmarks, resources_text

    print(resources_text(benchmarks(options.run)))
    return 0


def _datasets(options: argparse.Namespace) -> int:
    from unimontage.datasets import facts, keys

    for key in keys():
        known = facts(key)
        print(
            f"{key:10} {known.access.value:8} {len(known.subjects):4} subjects  {len(known.channels):3} channels  ",
            end="",
        )
        print(f"{known.sfreq_hz:6g} Hz  {', '.join(known.tasks)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="unimontage", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    inspect = commands.add_parser("inspect", help="compare a dataset's files on disk with what is known of them")
    inspect.add_argument("dataset", help="key of the dataset; `unimontage datasets` lists them")
    inspect.add_argument("path", help="folder of the files")
    inspect.set_defaults(command=_inspect)
    results = commands.add_parser("results", help="print the tables of a run")
    results.add_argument("run", help="folder of the run, for example results/demo")
    results.set_defaults(command=_results)
    explain = commands.add_parser("explain", help="walk back from a result to the files and commands that made it")
    explain.add_argument("result", type=Path, help="a table, predictions, weights, a figure or any other file of a run")
    explain.add_argument("words", nargs="*", help="which row of a table: words that stand in it, or column=value")
    explain.set_defaults(command=_explain)
    ledger = commands.add_parser("ledger", help="every published number beside what runs have measured of it")
    ledger.add_argument("run", nargs="*", type=Path, help="folders of finished runs; without any, what is to be run")
    ledger.add_argument("--out", type=Path, help="folder for ledger.csv, ledger.html and ledger.txt")
    ledger.set_defaults(command=_ledger)
    forecast = commands.add_parser("forecast", help="what a run will take: jobs, hours, GPU-hours and disk by rule")
    forecast.add_argument("config", nargs="*", type=Path, help="configuration files, later ones winning")
    forecast.add_argument(
        "--like", nargs="+", type=Path, default=[], help="folders of runs to take measured times from"
    )
    forecast.set_defaults(command=_forecast)
    status = commands.add_parser("status", help="what of a run is done, failed, waiting, and when it may end")
    status.add_argument("config", nargs="*", type=Path, help="configuration files, as for the run")
    status.set_defaults(command=_status)
    preflight = commands.add_parser("preflight", help="check what depends on the cluster before a run is submitted")
    preflight.add_argument("config", nargs="*", type=Path, help="configuration files, as for the run")
    preflight.add_argument("--profile", action="append", type=Path, help="as for the run; by default profiles/slurm")
    preflight.set_defaults(command=_preflight)
    resources = commands.add_parser("resources", help="memory and time for a profile, from what was measured")
    resources.add_argument("run", nargs="+", type=Path, help="folders of runs, for example results/demo")
    resources.set_defaults(command=_resources)
    datasets = commands.add_parser("datasets", help="list the datasets and their tasks")
    datasets.set_defaults(command=_datasets)
    return parser


if __name__ == "__main__":
    sys.exit(main())

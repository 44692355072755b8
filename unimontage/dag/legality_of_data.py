"""Combinations that are refused because of a dataset: its files, people, filters and trials."""

from collections.abc import Iterator

from unimontage.config.data import Dataset
from unimontage.config.problems import nearest, nested
from unimontage.config.root import Config
from unimontage.dag.plan import Plan, choose
from unimontage.datasets import facts
from unimontage.datasets.facts import Access, DatasetFacts
from unimontage.errors import UserError


def counted(number: int, word: str) -> str:
    """A number of things: 1 subject, 2 subjects."""
    return f"{number} {word}" + ("" if number == 1 else "s")


def sources(config: Config) -> Iterator[UserError]:
    """Files come from a folder, from a download into it, or from a synthetic stand-in."""
    for key, dataset in config.datasets.items():
        known = facts(key)
        here = ("datasets", key)
        if dataset.synthetic and (dataset.root is not None or dataset.download):
            extra = "a root" if dataset.root is not None else "download: true"
            yield UserError(
                f"dataset {key} is synthetic and has {extra}; a stand-in stands for files that are not there",
                mend=f"delete {extra.split(':')[0].removeprefix('a ')}, or write {nested((*here, 'synthetic'), False)}",
            )
        elif not dataset.synthetic and dataset.root is None:
            yield UserError(
                f"dataset {key} has no root ({known.how_to_obtain})",
                expected="the folder of its native files",
                mend=f"write {nested((*here, 'root'), f'data/{key}')}, or {nested((*here, 'synthetic'), True)} "
                "for a stand-in that marks every result SYNTHETIC",
            )
        if dataset.download and (known.access is not Access.OPEN or known.download is None):
            yield UserError(
                f"dataset {key} cannot be downloaded: {known.how_to_obtain}",
                mend=f"write {nested((*here, 'download'), False)} and put the files into the root yourself",
            )
        if dataset.mirror is not None and not dataset.download:
            yield UserError(
                f"dataset {key} has a mirror but is not downloaded",
                mend=f"write {nested((*here, 'download'), True)}, or delete mirror",
            )
    kinds = {key: dataset.synthetic for key, dataset in config.datasets.items()}
    if len(set(kinds.values())) > 1:
        synthetic, real = ([key for key, flag in kinds.items() if flag is which] for which in (True, False))
        yield UserError(
            f"the run mixes synthetic ({', '.join(synthetic)}) and real data ({', '.join(real)})",
            expected="all of one kind: no table may hold both",
            mend=f"write {nested(('datasets', real[0], 'synthetic'), True)}, or make two runs",
        )


def people(config: Config) -> Iterator[UserError]:
    """Subjects and sessions exist and somebody is left."""
    for key, dataset in config.datasets.items():
        for name, known in (("subjects", facts(key).subjects), ("sessions", facts(key).sessions)):
            choice = getattr(dataset, name)
            exclude = dataset.exclude if name == "subjects" else ()
            for wrong in [each for each in (*_listed(choice), *exclude) if each not in known]:
                option = "exclude" if wrong in exclude else name
                near = nearest(wrong, known) or known[0]
                yield UserError(
                    f"{key} has no {name[:-1]} {wrong}",
                    expected=f"names such as {', '.join(known[:3])} (there are {len(known)})",
                    mend=f"did you mean {near}? write {nested(('datasets', key, option), [near])}",
                )
            available = len(choose(known, "all", exclude))
            if isinstance(choice, int) and choice > available > 0:
                mend = f"write {nested(('datasets', key, name), available)}, or all"
                yield UserError(f"{key} has {counted(available, name[:-1])}, not {choice}", mend=mend)
            if not choose(known, choice, exclude):
                what = f"{key} has no {name} left" + (f" after excluding {len(exclude)}" if exclude else "")
                yield UserError(what, mend=f"write {nested(('datasets', key, name), 'all')} and exclude fewer")


def sittings(config: Config) -> Iterator[UserError]:
    """Every subject of the run has at least one of the sessions asked for."""
    for key, dataset in config.datasets.items():
        known = facts(key)
        sessions = choose(known.sessions, dataset.sessions)
        for subject in choose(known.subjects, dataset.subjects, dataset.exclude):
            if all((subject, session) in known.absent for session in sessions):
                yield UserError(
                    f"{key} has no session {' or '.join(sessions)} of subject {subject}",
                    mend=f"write {nested(('datasets', key, 'exclude'), [subject])}, or sessions: all",
                )


def _listed(choice: object) -> tuple[str, ...]:
    return choice if isinstance(choice, tuple) else ()


def filters(config: Config) -> Iterator[UserError]:
    """Filters must fit the sampling rates and leave something between them."""
    for key, dataset in config.datasets.items():
        options, native = dataset.preprocessing, facts(key).sfreq_hz
        here = ("datasets", key, "preprocessing")
        slowest = min(native, options.resample_hz or native)
        limits = {"highpass_hz": slowest / 2, "lowpass_hz": slowest / 2, "notch_hz": native / 2 - 1}
        for name, limit in limits.items():
            value = getattr(options, name)
            if value is not None and value >= limit:
                rate = native if name == "notch_hz" else slowest
                yield UserError(
                    f"{name} {value:g} of dataset {key} does not fit its sampling rate of {rate:g} Hz",
                    expected=f"less than {limit:g} Hz",
                    mend=f"write {nested((*here, name), None)}, or a lower value",
                )
        if options.highpass_hz and options.lowpass_hz and options.highpass_hz >= options.lowpass_hz:
            yield UserError(
                f"highpass_hz {options.highpass_hz:g} of dataset {key} is not below lowpass_hz {options.lowpass_hz:g}",
                mend=f"write {nested((*here, 'highpass_hz'), 0.5)}, or a higher lowpass_hz",
            )


def trials(config: Config) -> Iterator[UserError]:
    """Every trial offers at least one window, and a window is a whole number of samples."""
    for key, dataset in config.datasets.items():
        length, step = Plan(config).windows(key)
        options, here = dataset.preprocessing, ("datasets", key, "preprocessing")
        for name, seconds in (("length_s", length), ("step_s", step)):
            samples = seconds * Plan(config).rate(key)
            if round(samples) < 1 or abs(samples - round(samples)) > 1e-6:
                better = float(f"{max(1, round(samples)) / Plan(config).rate(key):.6g}")
                yield UserError(
                    f"windows.{name} makes {samples:g} samples at the {Plan(config).rate(key):g} Hz of dataset {key}",
                    expected="a whole number of samples",
                    mend=f"write {nested(('windows', name), better)}, or resample_hz",
                )
        if options.trial_last_s is not None and options.trial_stop_s is not None:
            yield UserError(
                f"dataset {key} has trial_stop_s and trial_last_s, which both say where a trial's windows end",
                mend=f"write {nested((*here, 'trial_stop_s'), None)}, or delete trial_last_s",
            )
            continue
        shortest = _shortest_trial_s(facts(key), dataset)
        stop = min(shortest, options.trial_stop_s or shortest)
        part = stop - max(options.trial_start_s, stop - (options.trial_last_s or stop))
        if part < length - 1e-9:
            limits = [n for n in ("trial_start_s", "trial_stop_s", "trial_last_s") if getattr(options, n)]
            if dataset.synthetic and dataset.twin.trial_s:
                limits.append("twin.trial_s")
            longest = nested(("windows", "length_s"), float(f"{part:g}"))
            yield UserError(
                f"a window of {length:g} s does not fit the {max(part, 0):g} s of the shortest trial of dataset {key}"
                + (f" ({', '.join(limits)})" if limits else ""),
                expected="at least one window a trial",
                mend=f"write {longest} or less" if part > 0 else f"lower {limits[0]}",
            )


def channels(config: Config) -> Iterator[UserError]:
    """Channels that are asked for by name must be in the files."""
    for key, dataset in config.datasets.items():
        known = facts(key).known_channels
        for wrong in [name for name in _listed(dataset.channels) if name not in known]:
            near = nearest(wrong, known) or known[0]
            yield UserError(
                f"{key} has no channel {wrong}",
                expected=f"names such as {', '.join(known[:3])} (there are {len(known)})",
                mend=f"did you mean {near}? write {nested(('datasets', key, 'channels'), [near])}",
            )


def nights(config: Config) -> Iterator[UserError]:
    """Options of long recordings belong to datasets that have them, and those of trials to the others."""
    for key, dataset in config.datasets.items():
        continuous = facts(key).continuous
        of_nights = {("preprocessing", "crop_wake_min"): dataset.preprocessing.crop_wake_min}
        of_nights |= {("twin", "night_h"): dataset.twin.night_h}
        for path, value in ({("twin", "trial_s"): dataset.twin.trial_s} if continuous else of_nights).items():
            if value is not None:
                what = "has nights, not trials of a length of their own" if continuous else "has no nights"
                other = f"write {nested(('datasets', key, 'twin', 'night_h'), 1.0)}" if continuous else "delete it"
                yield UserError(f"{'.'.join(path)} is set for {key}, which {what}", mend=other)


def _shortest_trial_s(known: DatasetFacts, dataset: Dataset) -> float:
    if dataset.synthetic and dataset.twin.trial_s is not None:
        return dataset.twin.trial_s
    return min(known.trial_s) if isinstance(known.trial_s, tuple) else known.trial_s

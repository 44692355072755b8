"""Finding files, fetching open ones, and writing down what they were."""

import dataclasses
import functools
import hashlib
import http.server
import threading

import pytest

from unimontage import datasets
from unimontage.datasets import sources
from unimontage.datasets.facts import Download
from unimontage.errors import UserError

EEGMMIDB, EEGMAT = datasets.facts("eegmmidb"), datasets.facts("eegmat")
CONTENT = {"Subject00_1.edf": b"rest" * 1000, "Subject00_2.edf": b"task" * 1000}


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def serve(monkeypatch):
    """Serve a folder; returns its address and the list of paths that were asked for."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    servers = []

    def start(folder):
        asked = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_):
                asked.append(self.path)

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}", asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def release(tmp_path, serve):
    """A small release on a local server, with facts that point to it."""
    folder = tmp_path / "server"
    folder.mkdir()
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
    address, asked = serve(folder)
    known = {name: sha256(content) for name, content in CONTENT.items()}
    facts = dataclasses.replace(EEGMAT, download=Download(address + "/", lambda: known, "SHA256SUMS.txt"))
    return facts, folder, asked


def test_files_are_fetched_and_verified(release, tmp_path):
    facts, _, asked = release
    paths = sources.download(facts, "Subject00", tmp_path / "data")
    assert [path.read_bytes() for path in paths] == list(CONTENT.values())
    assert paths == sources.locate(facts, "Subject00", tmp_path / "data")
    assert "/SHA256SUMS.txt" not in asked


def test_what_is_there_and_right_is_not_fetched_again(release, tmp_path):
    facts, _, asked = release
    sources.download(facts, "Subject00", tmp_path / "data")
    asked.clear()
    sources.download(facts, "Subject00", tmp_path / "data")
    assert asked == []


def test_what_is_there_and_wrong_is_replaced(release, tmp_path):
    facts = release[0]
    (tmp_path / "Subject00_2.edf").write_bytes(b"half a file")
    sources.download(facts, "Subject00", tmp_path)
    assert (tmp_path / "Subject00_2.edf").read_bytes() == CONTENT["Subject00_2.edf"]


def test_a_file_with_another_checksum_is_deleted(release, tmp_path):
    facts, folder, _ = release
    (folder / "Subject00_2.edf").write_bytes(b"altered on the way")
    with pytest.raises(UserError, match=r"Subject00_2\.edf has another checksum than the release.*mirror"):
        sources.download(facts, "Subject00", tmp_path / "data")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["Subject00_1.edf"]


def test_a_checksum_that_is_not_known_here_comes_from_the_releases_own_list(release, tmp_path):
    facts, folder, asked = release
    lines = [f"{sha256(content)} {name}" for name, content in CONTENT.items()]
    (folder / "SHA256SUMS.txt").write_text("\n".join(lines) + "\n")
    facts = dataclasses.replace(facts, download=dataclasses.replace(facts.download, checksums=dict))
    assert len(sources.download(facts, "Subject00", tmp_path / "data")) == 2
    assert asked[0] == "/SHA256SUMS.txt"


def test_without_a_checksum_nothing_is_fetched(release, tmp_path):
    facts, folder, asked = release
    (folder / "SHA256SUMS.txt").write_text("")
    facts = dataclasses.replace(facts, download=dataclasses.replace(facts.download, checksums=dict))
    with pytest.raises(UserError, match=r"no checksum is known for Subject00_1\.edf, Subject00_2\.edf"):
        sources.download(facts, "Subject00", tmp_path / "data")
    assert asked == ["/SHA256SUMS.txt"]


def test_a_mirror_is_held_to_the_same_checksums(release, tmp_path, serve):
    facts = release[0]
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    for name in CONTENT:
        (mirror / name).write_bytes(b"another file")
    with pytest.raises(UserError, match="another checksum"):
        sources.download(facts, "Subject00", tmp_path / "data", mirror=serve(mirror)[0])


def test_a_file_the_server_lacks_is_reported_with_the_remedies(release, tmp_path):
    facts, folder, _ = release
    (folder / "Subject00_1.edf").unlink()
    with pytest.raises(UserError, match=r"Subject00_1\.edf could not be downloaded.*or put the file at"):
        sources.download(facts, "Subject00", tmp_path / "data")


def test_a_licensed_dataset_is_not_downloaded(tmp_path):
    with pytest.raises(UserError, match=r"deap cannot be downloaded.*sign the agreement"):
        sources.download(datasets.facts("deap"), "s01", tmp_path)


def test_every_file_of_the_open_datasets_has_a_checksum_or_a_list_to_ask():
    known = EEGMMIDB.download.checksums()
    needed = [name for subject in EEGMMIDB.subjects for name in EEGMMIDB.files(subject)[0]]
    assert len(needed) == 315
    assert all(len(known[name]) == 64 for name in needed)
    assert len(EEGMAT.download.checksums()) == 18
    assert EEGMAT.download.release_sums


@pytest.mark.parametrize(
    ("facts", "folder", "subject"),
    [(EEGMMIDB, "physionet_eegmmidb", "S002"), (EEGMAT, "physionet_eegmat", "Subject09")],
)
def test_pinned_checksums_are_those_of_the_real_files(realdata, facts, folder, subject, serve, tmp_path):
    paths = sources.download(facts, subject, tmp_path, mirror=serve(realdata / folder)[0])
    entries = sources.manifest(paths, tmp_path)
    assert {entry["path"]: entry["sha256"] for entry in entries}.items() <= dict(facts.download.checksums()).items()


def test_missing_files_are_told_in_one_line(tmp_path):
    (tmp_path / "S001").mkdir()
    (tmp_path / "S001" / "S001R04.edf").write_bytes(b"")
    with pytest.raises(UserError) as error:
        sources.locate(EEGMMIDB, "S001", tmp_path)
    text = str(error.value)
    assert "missing S001/S001R08.edf and 1 more" in text
    assert str(tmp_path) in text
    assert "`datasets: {eegmmidb: {root: FOLDER}}`" in text
    assert "`datasets: {eegmmidb: {synthetic: true}}`" in text
    assert "\n" not in text


@pytest.mark.parametrize("act", [sources.locate, sources.download])
def test_a_subject_that_does_not_exist_is_refused(tmp_path, act):
    with pytest.raises(UserError, match="eegmmidb has no subject 'S088'; expected S001 to S109"):
        act(EEGMMIDB, "S088", tmp_path)


def test_only_the_sessions_asked_for_have_to_be_there(tmp_path):
    facts = datasets.facts("seed")
    for name in facts.files("3", ("2",))[0]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in sources.locate(facts, "3", tmp_path, ("2",))] == ["3_20140611.mat", "label.mat"]
    with pytest.raises(UserError, match=r"3_20140603\.mat and 1 more"):
        sources.locate(facts, "3", tmp_path)


SLEEP_EDF = datasets.facts("sleep_edf")


def test_a_pattern_stands_for_the_one_file_it_matches(tmp_path):
    for name in ("SC4001E0-PSG.edf", "SC4001EC-Hypnogram.edf", "SC4002E0-PSG.edf"):
        (tmp_path / name).write_bytes(b"")
    paths = sources.locate(SLEEP_EDF, "SC400", tmp_path, ("1",))
    assert [path.name for path in paths] == ["SC4001E0-PSG.edf", "SC4001EC-Hypnogram.edf"]
    with pytest.raises(UserError, match=r"missing .*SC4002\*-Hypnogram\.edf"):
        sources.locate(SLEEP_EDF, "SC400", tmp_path)


@pytest.mark.parametrize("second", ["SC4001F0-PSG.edf", "SC4001EH-Hypnogram.edf"])
def test_two_files_for_one_night_are_refused(tmp_path, second):
    for name in ("SC4001E0-PSG.edf", "SC4001EC-Hypnogram.edf", second):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match=rf"SC400: 2 files match .*{second}.*expected one file"):
        sources.locate(SLEEP_EDF, "SC400", tmp_path, ("1",))


def test_names_that_a_pattern_leaves_open_come_from_the_releases_own_list(tmp_path, serve):
    folder = tmp_path / "server" / "sleep-cassette"
    folder.mkdir(parents=True)
    names = [f"SC400{night}E{end}.edf" for night in "12" for end in ("0-PSG", "C-Hypnogram")]
    for name in names:
        (folder / name).write_bytes(name.encode())
    lines = [f"{sha256(name.encode())}  sleep-cassette/{name}" for name in [*names, "SC4011E0-PSG.edf"]]
    (folder.parent / "SHA256SUMS.txt").write_text("\n".join(lines) + "\n")
    paths = sources.download(SLEEP_EDF, "SC400", tmp_path / "data", mirror=serve(folder.parent)[0])
    assert [path.name for path in paths] == names
    assert paths == sources.locate(SLEEP_EDF, "SC400", tmp_path / "data")


def test_an_open_dataset_that_is_packed_is_not_downloaded(tmp_path):
    with pytest.raises(UserError, match=r"isruc cannot be downloaded.*rar"):
        sources.download(datasets.facts("isruc"), "1", tmp_path)


def test_a_manifest_lists_path_size_and_hash(tmp_path):
    (tmp_path / "S001").mkdir()
    (tmp_path / "S001" / "b.edf").write_bytes(b"bb")
    (tmp_path / "a.txt").write_bytes(b"a")
    entries = sources.manifest([tmp_path / "S001" / "b.edf", tmp_path / "a.txt"], tmp_path)
    assert entries == [
        {"path": "S001/b.edf", "bytes": 2, "sha256": sha256(b"bb")},
        {"path": "a.txt", "bytes": 1, "sha256": sha256(b"a")},
    ]

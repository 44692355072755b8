"""Every path of a run, with the wildcards of the rules, in one place."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Paths:
    """Paths below ``<results>/<run>``; words in braces are Snakemake wildcards.

    Attributes
    ----------
    root : str
        Folder of the run.
    """

    root: str

    @property
    def twin(self) -> str:
        """Marker of a synthetic stand-in; its files stand beside it."""
        return f"{self.root}/twins/{{dataset}}/SYNTHETIC.json"

    @property
    def source(self) -> str:
        """Native files of a subject: where they are, their sizes and hashes."""
        return f"{self.root}/sources/{{dataset}}/sub-{{subject}}.json"

    @property
    def windows(self) -> str:
        """Window store of a subject."""
        return f"{self.root}/windows/{{dataset}}/sub-{{subject}}.h5"

    @property
    def quality(self) -> str:
        """Channels, amplitudes and counts of a subject's recordings."""
        return f"{self.root}/quality/{{dataset}}/sub-{{subject}}.json"

    @property
    def split(self) -> str:
        """Window ids by fold and role."""
        return f"{self.root}/splits/{{dataset}}/{{task}}/{{protocol}}/sub-{{subjects}}.parquet"

    @property
    def audit(self) -> str:
        """What the leakage audit found in a split and in the pre-training of the arms that use it."""
        return f"{self.root}/audits/{{dataset}}/{{task}}/{{protocol}}/{{corpus}}/{{holdout}}/sub-{{subjects}}.json"

    @property
    def pretraining_split(self) -> str:
        """Window ids that a pre-training sees."""
        return f"{self.root}/pretraining/corpora/{{corpus}}/{{holdout}}.parquet"

    @property
    def compressor(self) -> str:
        """Weights of a compressor."""
        return f"{self.root}/distillation/{{compressor}}/{{corpus}}/{{holdout}}/compressor.safetensors"

    @property
    def compressor_config(self) -> str:
        """What they are the weights of."""
        return self.compressor.replace("safetensors", "json")

    @property
    def compressor_history(self) -> str:
        """Loss of a compressor by step."""
        return self.compressor.replace("compressor.safetensors", "history.csv")

    @property
    def latents(self) -> str:
        """A short vector for every window of a corpus."""
        return self.compressor.replace("compressor.safetensors", "latents.npy")

    @property
    def latent_ids(self) -> str:
        """The windows that the vectors stand for, in their order."""
        return self.latents.replace("npy", "ids.parquet")

    @property
    def selection(self) -> str:
        """Window ids that a distilled pre-training sees."""
        return f"{self.root}/distillation/{{selection}}/{{corpus}}/{{holdout}}/kept.parquet"

    def selected(self, name: str) -> str:
        """What belongs to a choice of windows: all windows with their scores, card, figures."""
        return self.selection.replace("kept.parquet", name)

    @property
    def pretraining(self) -> str:
        """Folder of one pre-training."""
        return f"{self.root}/pretraining/{{recipe}}/{{corpus}}/{{holdout}}/seed-{{seed}}"

    @property
    def weights(self) -> str:
        """Encoder weights."""
        return f"{self.pretraining}/encoder.safetensors"

    @property
    def weights_config(self) -> str:
        """What the weights are the weights of."""
        return f"{self.pretraining}/encoder.json"

    @property
    def events(self) -> str:
        """TensorBoard's folder."""
        return f"{self.pretraining}/tensorboard"

    @property
    def pretraining_history(self) -> str:
        """Loss, spread and learning rate by step."""
        return f"{self.pretraining}/history.csv"

    @property
    def job(self) -> str:
        """One dataset, task, protocol and arm, and the subjects that it tests."""
        return "{comparison}/{dataset}/{task}/{protocol}/{arm}/sub-{subjects}"

    def predictions(self, comparison: str) -> str:
        """Class probabilities of every test window, by fold and seed."""
        return f"{self.root}/{self.job}.parquet".replace("{comparison}", comparison)

    def history(self, comparison: str) -> str:
        """Learning curves by fold and seed."""
        return f"{self.root}/{self.job}.history.csv".replace("{comparison}", comparison)

    def card(self, comparison: str) -> str:
        """What was trained, how and from what."""
        return f"{self.root}/{self.job}.json".replace("{comparison}", comparison)

    @property
    def scores(self) -> str:
        """Scores of all arms and subjects on one target."""
        return f"{self.root}/scores/{{comparison}}/{{dataset}}/{{task}}/{{protocol}}.parquet"

    @property
    def pooled(self) -> str:
        """Scores of all arms over all test windows of a target together."""
        return f"{self.root}/pooled/{{comparison}}/{{dataset}}/{{task}}/{{protocol}}.parquet"

    @property
    def ranks(self) -> str:
        """Mean ranks of the arms on a target, and which of them can be told apart."""
        return f"{self.root}/ranks/{{comparison}}/{{dataset}}/{{task}}/{{protocol}}.csv"

    def table(self, suffix: str, part: str = "results") -> str:
        """A part of a comparison's tables: results, differences from the reference arm, what leakage is worth, ..."""
        return f"{self.root}/tables/{{comparison}}/{part}.{suffix}"

    def ledger(self, suffix: str) -> str:
        """Every published number, and what the run has measured of it."""
        return f"{self.root}/tables/ledger.{suffix}"

    target_figures = ("accuracies", "confusion", "learning")
    recipe_figures = ("pretraining", "embedding", "alignment", "task_weights")

    def figure(self, name: str) -> str:
        """A figure of a target, or of a recipe."""
        if name in self.recipe_figures:
            return f"{self.root}/figures/{{recipe}}/{{corpus}}/{{holdout}}/{name}.png"
        return f"{self.root}/figures/{{comparison}}/{{dataset}}/{{task}}/{{protocol}}/{name}.png"

    def montage(self, suffix: str) -> str:
        """What becomes of the electrodes of a dataset."""
        return f"{self.root}/figures/montage/{{dataset}}.{suffix}"

    @property
    def report(self) -> str:
        """The page with everything that the run has to show."""
        return f"{self.root}/report.html"

    def resume(self, folder: str) -> str:
        """Where a job keeps what it needs to go on; no declared output, because Snakemake deletes those."""
        return folder.replace(self.root, f"{self.root}/resume", 1)

    def resume_of(self, wildcards: Any, output: Any) -> str:
        """The same for a job that predicts: one rule is used as another, and its outputs tell which."""
        return self.resume(str(output.predictions).removesuffix(".parquet"))

    def environment(self, node: str) -> str:
        """What a job finds around itself on a kind of node."""
        return f"{self.root}/environment/{node}.txt"

    def log(self, rule: str, *wildcards: str) -> str:
        """Log of a rule."""
        return f"{self.root}/logs/{rule}/{_join(wildcards)}.log"

    def benchmark(self, rule: str, *wildcards: str) -> str:
        """Time and memory of a rule."""
        return f"{self.root}/benchmarks/{rule}/{_join(wildcards)}.jsonl"

    def record(self, rule: str, *wildcards: str) -> str:
        """What a job was asked, read, wrote and took; stands beside its log, from whose name it has its own."""
        return f"{self.root}/records/{rule}/{_join(wildcards)}.json"


def _join(wildcards: tuple[str, ...]) -> str:
    return "/".join(f"{{{name}}}" for name in wildcards) or "all"

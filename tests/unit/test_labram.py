"""The backbone of LaBraM, its electrodes, its learning rates and its released weights."""

import argparse

import pytest
import torch

from unimontage.errors import UserError
from unimontage.models.electrodes import ELECTRODES, electrode_rows
from unimontage.models.labram import Labram, layer_groups, patches
from unimontage.models.neural_tokenizer import NeuralTokenizer
from unimontage.models.released import load_released, load_released_tokenizer

CHANNELS = ("FP1", "C3", "FZ")
PLAIN = {"layer_scale": None, "qk_norm": False, "qkv_bias": True}  # as in the tokenizer


def windows(size=2, channels=3, seconds=4):
    return torch.randn(size, channels, seconds, 200, generator=torch.Generator().manual_seed(3))


def tiny(**options):
    torch.manual_seed(0)
    return Labram("tiny", **options)


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(("size", "count"), [("tiny", 85_088), ("base", 5_819_936), ("large", 46_258_720)])
def test_the_trunk_has_the_published_size(size, count):
    """Without mask token and without the norm that only fine-tuning uses."""
    model = Labram(size)
    assert parameters(model) - model.mask_token.numel() - parameters(model.fc_norm) == count


def test_an_unknown_size_is_refused():
    with pytest.raises(UserError, match=r"no size 'bass'.*size: base"):
        Labram("bass")


def from_braindecode(theirs, ours):
    """Copy weights into ours, by the names of the released files."""
    renamed = {}
    for name, tensor in theirs.state_dict().items():
        name = name.replace("patch_embed.temporal_conv", "patch_embed").replace("position_embedding", "pos_embed")
        name = name.replace("mlp.0", "mlp.fc1").replace("mlp.2", "mlp.fc2")
        renamed[name.replace("temporal_embedding", "time_embed")] = tensor
    renamed["time_embed"] = torch.nn.functional.pad(renamed["time_embed"], (0, 0, 0, 16 - 5))
    report = ours.load_state_dict(renamed, strict=False)
    assert set(report.missing_keys) == {"mask_token", "norm.weight", "norm.bias"}
    assert set(report.unexpected_keys) == {"final_layer.weight", "final_layer.bias"}


@pytest.mark.parametrize(
    ("library", "options"),
    [
        ({"init_values": 0.1}, {}),
        ({"init_values": 0.0, "qk_norm": None, "qkv_bias": True}, PLAIN),
    ],
    ids=["backbone", "of the tokenizer"],
)
def test_it_computes_what_the_library_computes(library, options):
    """The library's model has a row of its time table more than patches, no mask token and no tokenizer."""
    from braindecode.models import Labram as Library

    torch.manual_seed(0)
    theirs = Library(n_outputs=2, n_times=800, n_chans=3, sfreq=200, use_mean_pooling=True, **library).eval()
    ours = Labram("base", **options).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():  # so that neither norms nor embeddings are at their start
            parameter.add_(0.05 * torch.randn_like(parameter))
        from_braindecode(theirs, ours)
        ours.norm.load_state_dict(ours.fc_norm.state_dict())
        x, rows = windows(), torch.tensor((0, *electrode_rows(CHANNELS)))
        pooled = theirs.forward_features(x.flatten(2), rows)
        tokens = theirs.forward_features(x.flatten(2), rows, return_patch_tokens=True)
        assert torch.allclose(ours.embed(x, CHANNELS), pooled, atol=1e-4)
        assert torch.allclose(ours.tokens(x, CHANNELS), tokens, atol=1e-4)
    assert pooled.std() > 0.1


def test_electrodes_are_those_of_the_library():
    from braindecode.models.labram import LABRAM_CHANNEL_ORDER

    assert [name.upper() for name in LABRAM_CHANNEL_ORDER] == list(ELECTRODES)


def test_older_and_decorated_names_share_a_row():
    assert electrode_rows(("T3", "EEG T5-REF", "Fp1.")) == electrode_rows(("T7", "P7", "FP1"))
    assert electrode_rows(("F7-T3",)) == electrode_rows(("F7-T7",))
    assert electrode_rows(("FP1", "P8-O2")) == (1, 128)


def test_an_unknown_electrode_is_named():
    with pytest.raises(UserError, match="no embedding for channel 'EOG left'"):
        tiny().tokens(windows(), ("FP1", "EOG left", "FZ"))


def test_channels_carry_their_names_wherever_they_stand():
    model, x = tiny().eval(), windows()
    tokens = model.tokens(x, CHANNELS).unflatten(1, (3, 4))
    order = [2, 0, 1]
    moved = model.tokens(x[:, order], [CHANNELS[i] for i in order]).unflatten(1, (3, 4))
    assert torch.allclose(moved, tokens[:, order], atol=1e-5)
    renamed = model.tokens(x, ("FP1", "C4", "FZ")).unflatten(1, (3, 4))
    assert not torch.allclose(renamed, tokens, atol=1e-3)


def test_patches_are_seconds_in_units_of_100_microvolt():
    x = torch.randn(2, 3, 600)
    cut = patches(x)
    assert cut.shape == (2, 3, 3, 200)
    assert torch.allclose(cut[1, 2, 1], x[1, 2, 200:400] / 100)


@pytest.mark.parametrize("samples", [0, 199, 250, 3400])
def test_windows_of_broken_or_too_many_seconds_are_refused(samples):
    with pytest.raises(UserError, match="whole number of seconds"):
        patches(torch.zeros(1, 2, samples))


def test_more_patches_than_time_has_rows_are_refused():
    with pytest.raises(UserError, match="17 patches are too long"):
        tiny().tokens(windows(seconds=17), CHANNELS)


def test_channels_must_be_as_many_as_named():
    with pytest.raises(ValueError, match="12 tokens cannot belong to 5 channels"):
        tiny().tokens(windows(), ("FP1", "C3", "FZ", "C4", "CZ"))


def test_a_hidden_patch_leaves_no_trace_but_in_the_statistics_of_the_patch_encoder():
    model, x = tiny().eval(), windows(1)
    mask = torch.zeros(1, 12, dtype=torch.bool)
    mask[0, 5] = True
    model.patch_embed.norm1 = model.patch_embed.norm2 = model.patch_embed.norm3 = torch.nn.Identity()
    other = x.clone()
    other[0, 1, 1] += 3.0  # token 5
    assert torch.equal(model.tokens(x, CHANNELS, mask), model.tokens(other, CHANNELS, mask))
    assert not torch.equal(model.tokens(x, CHANNELS), model.tokens(other, CHANNELS))


def test_stochastic_depth_leaves_out_branches_in_training_only():
    model, x = tiny(drop_path=0.9), windows()
    assert [block.drop_path for block in model.blocks] == pytest.approx([0.0, 0.3, 0.6, 0.9])
    assert not torch.equal(model.tokens(x, CHANNELS), model.tokens(x, CHANNELS))
    model.eval()
    assert torch.equal(model.tokens(x, CHANNELS), model.tokens(x, CHANNELS))


def test_stochastic_depth_keeps_the_mean_of_a_branch():
    block = tiny(drop_path=0.5).blocks[-1]
    assert block._path(torch.ones(4000, 1, 1), None).mean().item() == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("options", [{}, PLAIN])
def test_gradients_are_finite(precision, options):
    model, x = tiny(**options), windows()
    mask = torch.rand(2, 12) < 0.5
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        loss = model.tokens(x, CHANNELS, mask).float().square().mean() + model.embed(x, CHANNELS).float()[:, 0].sum()
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_learning_rates_fall_towards_the_embeddings():
    model = tiny()
    groups = layer_groups(model, 1e-3, 0.5)
    rate = {id(p): group["peak"] for group in groups for p in group["params"]}
    assert len(rate) == len(list(model.parameters())) == sum(len(group["params"]) for group in groups)
    assert all(group["lr"] == group["peak"] for group in groups)
    below = (model.cls_token, model.time_embed, model.patch_embed.conv1.weight)
    assert {rate[id(p)] for p in below} == {1e-3 * 0.5**5}
    assert rate[id(model.blocks[3].attn.qkv.weight)] == 1e-3 * 0.5
    assert rate[id(model.blocks[0].mlp.fc1.bias)] == 1e-3 * 0.5**4
    assert rate[id(model.fc_norm.weight)] == 1e-3
    torch.optim.AdamW(groups, weight_decay=0.05)


def test_weight_decay_spares_vectors_and_embeddings():
    model = tiny()
    spared = {id(p) for g in layer_groups(model, 1e-3, 0.65) if g.get("weight_decay") == 0.0 for p in g["params"]}
    for name, parameter in model.named_parameters():
        embedding = name in ("cls_token", "mask_token", "pos_embed", "time_embed")
        assert (id(parameter) in spared) == (embedding or parameter.ndim == 1), name


def released(model, prefix="student."):
    """A checkpoint of pre-training in the published layout."""
    own = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("fc_norm")}
    student = {prefix + name: tensor for name, tensor in own.items()}
    tops = ("student.lm_head.weight", "lm_head.weight", "projection_head.0.weight")
    heads = {name: torch.zeros(8, model.d) for name in tops if prefix == "student." or not name.startswith("student")}
    return {"model": student | heads, "epoch": 49, "args": argparse.Namespace(model="labram", lr=5e-4)}


@pytest.mark.parametrize("wrap", [lambda c: c, lambda c: c["model"]])
@pytest.mark.parametrize("prefix", ["student.", "module.student.", "module.", ""])
def test_released_weights_come_in(tmp_path, prefix, wrap):
    source, model = tiny(), Labram("tiny")
    torch.save(wrap(released(source, prefix)), tmp_path / "labram.pth")
    coverage = load_released(model, tmp_path / "labram.pth")
    assert coverage.missing == ("fc_norm.bias", "fc_norm.weight")
    assert {name.split(".")[0] for name in coverage.unexpected} == {"lm_head", "projection_head"}
    assert len(coverage.matched) == len(source.state_dict()) - 2
    x = windows()
    assert torch.equal(model.eval().tokens(x, CHANNELS), source.eval().tokens(x, CHANNELS))


def test_weights_of_another_size_are_refused_and_leave_the_model_alone(tmp_path):
    torch.save(released(tiny()), tmp_path / "labram.pth")
    model = Labram("base")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(UserError, match=r"width 40 with 4 blocks; expected width 200 .*size: tiny") as e:
        load_released(model, tmp_path / "labram.pth")
    assert "\n" not in str(e.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_weights_of_another_make_are_refused(tmp_path):
    torch.save(released(tiny()), tmp_path / "labram.pth")
    with pytest.raises(UserError, match=r"unexpected .as blocks.0.gamma_1"):
        load_released(Labram("tiny", layer_scale=None), tmp_path / "labram.pth")
    with pytest.raises(UserError, match=r"missing .as blocks.0.attn.q_bias"):
        load_released(Labram("tiny", qkv_bias=True), tmp_path / "labram.pth")


def test_what_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(UserError, match="is missing"):
        load_released(tiny(), tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text("not weights")
    with pytest.raises(UserError, match="cannot be read as weights"):
        load_released(tiny(), tmp_path / "text.pth")
    torch.save({"model": {"weight": torch.zeros(3)}}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="holds no LaBraM backbone"):
        load_released(tiny(), tmp_path / "other.pth")


class Payload:
    """Would run a command if the file were trusted."""

    def __reduce__(self):
        return exec, ("raise SystemExit",)


def test_nothing_in_a_checkpoint_is_executed(tmp_path):
    torch.save({"model": released(tiny())["model"], "args": Payload()}, tmp_path / "evil.pth")
    with pytest.raises(UserError, match="cannot be read as weights"):
        load_released(tiny(), tmp_path / "evil.pth")


def released_tokenizer(tokenizer):
    names = (
        *(("encoder.norm.", "encoder.fc_norm."), ("decoder.norm.", "decoder.fc_norm.")),
        *(("decoder.patch_embed.", "decoder.patch_embed.proj."), ("to_code.", "encode_task_layer.")),
        *(("to_amplitude.", "decode_task_layer."), ("to_phase.", "decode_task_layer_angle.")),
        *(("codebook.codes", "quantize.embedding.weight"), ("codebook.count", "quantize.cluster_size")),
    )
    content = {"quantize.embedding.initted": torch.ones(1), "quantize.embedding.cluster_size": torch.ones(64)}
    for name, tensor in tokenizer.state_dict().items():
        if name in ("codebook.started", "codebook.revived"):
            continue
        for ours, theirs in names:
            if name.startswith(ours):
                name = theirs + name.removeprefix(ours)
        content[name] = tensor[:, :, None, None] if name == "decoder.patch_embed.proj.weight" else tensor
    return {"model": content}


def test_a_released_tokenizer_gives_its_codes(tmp_path):
    torch.manual_seed(0)
    source, tokenizer = (NeuralTokenizer("tiny", codes=64, code_d=16) for _ in range(2))
    torch.save(released_tokenizer(source), tmp_path / "vqnsp.pth")
    x = windows()
    assert not torch.equal(source.codes(x, CHANNELS), tokenizer.codes(x, CHANNELS))
    coverage = load_released_tokenizer(tokenizer, tmp_path / "vqnsp.pth")
    assert coverage.missing == ("codebook.revived", "codebook.started")
    assert all(name.startswith("quantize.embedding.") for name in coverage.unexpected)
    assert torch.equal(source.codes(x, CHANNELS), tokenizer.codes(x, CHANNELS))
    assert tokenizer.codebook.started
    losses = source.eval()(x, CHANNELS), tokenizer.eval()(x, CHANNELS)
    assert torch.equal(losses[0].total, losses[1].total)


def test_a_tokenizer_with_another_codebook_is_refused(tmp_path):
    torch.save(released_tokenizer(NeuralTokenizer("tiny", codes=64, code_d=16)), tmp_path / "vqnsp.pth")
    with pytest.raises(UserError, match=r"of another shape .as codebook.codes"):
        load_released_tokenizer(NeuralTokenizer("tiny", codes=32, code_d=16), tmp_path / "vqnsp.pth")

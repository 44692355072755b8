import json

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from unimontage.errors import UserError
from unimontage.models.weights import load_weights, read_config, save_weights


class Model(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.body = nn.Linear(4, 5)
        self.final_layer = nn.Linear(5, classes)


@pytest.fixture
def saved(tmp_path):
    model = Model()
    path = tmp_path / "run" / "encoder.safetensors"
    save_weights(path, model, {"d": 4, "channels": ["CZ", "PZ"]})
    return model, path


def test_weights_come_back_as_they_were_with_their_configuration(saved):
    model, path = saved
    other = Model()
    coverage = load_weights(other, path)
    assert coverage.matched == ("body.bias", "body.weight", "final_layer.bias", "final_layer.weight")
    assert not coverage.missing
    assert not coverage.unexpected
    for name, tensor in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor)
    assert read_config(path) == {"d": 4, "channels": ["CZ", "PZ"]}
    assert json.loads((path.parent / "encoder.json").read_text()) == read_config(path)


def test_only_the_two_files_are_left_in_the_folder(saved):
    _, path = saved
    assert sorted(p.name for p in path.parent.iterdir()) == ["encoder.json", "encoder.safetensors"]


def test_a_failed_write_leaves_the_old_weights(saved, monkeypatch):
    model, path = saved

    def broken(tensors, name, metadata):
        name.write_bytes(b"half")
        raise RuntimeError("killed")

    monkeypatch.setattr("unimontage.models.weights.save_file", broken)
    with pytest.raises(RuntimeError):
        save_weights(path, Model(), {})
    assert torch.equal(load_file(path)["body.weight"], model.body.weight)
    assert sorted(p.name for p in path.parent.iterdir()) == ["encoder.json", "encoder.safetensors"]


def test_a_tensor_missing_from_the_file_must_be_named(tmp_path):
    path = tmp_path / "body.safetensors"
    part = nn.Module()
    part.body = nn.Linear(4, 5)
    save_weights(path, part, {})
    model = Model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(UserError, match=r"2 matched, 2 missing, 0 unexpected; missing final_layer.bias, final"):
        load_weights(model, path)
    with pytest.raises(UserError, match=r"missing final_layer.bias;"):
        load_weights(model, path, allow_missing=["final_layer.weight"])
    with pytest.raises(UserError, match="missing"):
        load_weights(model, path, allow_missing=["final"])  # a prefix of letters is no name
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    coverage = load_weights(model, path, allow_missing=["final_layer"])
    assert coverage.missing == ("final_layer.bias", "final_layer.weight")
    assert str(coverage) == "2 matched, 2 missing, 0 unexpected"
    assert torch.equal(model.body.weight, part.body.weight)
    assert torch.equal(model.final_layer.weight, before["final_layer.weight"])


def test_a_tensor_the_model_does_not_have_must_be_named(saved):
    _, path = saved
    part = nn.Module()
    part.body = nn.Linear(4, 5)
    with pytest.raises(UserError, match=r"unexpected final_layer.bias"):
        load_weights(part, path)
    assert load_weights(part, path, allow_unexpected=["final_layer"]).unexpected == (
        "final_layer.bias",
        "final_layer.weight",
    )


def test_a_load_in_which_nothing_matches_is_refused_whatever_is_named(saved):
    _, path = saved
    stranger = nn.Module()
    stranger.encoder = Model()
    with pytest.raises(UserError, match="0 matched"):
        load_weights(stranger, path, allow_missing=["encoder"], allow_unexpected=["body", "final_layer"])


def test_another_shape_is_an_error_that_says_both(saved):
    _, path = saved
    with pytest.raises(UserError, match=r"final_layer.bias has shape \(3,\); expected \(2,\)"):
        load_weights(Model(classes=2), path)


def test_unreadable_files_are_reported_in_one_line(tmp_path):
    with pytest.raises(UserError, match="is missing"):
        load_weights(Model(), tmp_path / "none.safetensors")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no weights")
    with pytest.raises(UserError, match="no safetensors file"):
        load_weights(Model(), broken)
    with pytest.raises(UserError, match=r"broken.json is missing"):
        read_config(broken)
    broken.with_suffix(".json").write_text("{")
    with pytest.raises(UserError, match="no JSON"):
        read_config(broken)
    broken.with_suffix(".json").write_text("[]")
    with pytest.raises(UserError, match="JSON object"):
        read_config(broken)

import math
import subprocess
import sys

import pytest
import torch

from unimontage.errors import UserError
from unimontage.objectives import OBJECTIVES, build_objective
from unimontage.objectives.collapse import embedding_spread
from unimontage.objectives.nt_xent import nt_xent
from unimontage.objectives.simsiam import simsiam


def naive_nt_xent(za, zb, temperature):
    z = torch.cat([za, zb])
    z = z / z.norm(dim=1, keepdim=True)
    n, losses = len(za), []
    for i in range(2 * n):
        logits = torch.stack([z[i] @ z[k] / temperature for k in range(2 * n) if k != i])
        partner = (i + n) % (2 * n)
        place = partner if partner < i else partner - 1
        losses.append(-logits.log_softmax(0)[place])
    return torch.stack(losses).mean()


@pytest.mark.parametrize("temperature", [0.05, 0.1, 0.5])
def test_nt_xent_equals_the_softmax_written_out_for_four_segments(temperature):
    torch.manual_seed(0)
    za, zb = torch.randn(2, 4, 6, dtype=torch.float64)
    torch.testing.assert_close(nt_xent(za, zb, temperature), naive_nt_xent(za, zb, temperature), rtol=1e-12, atol=0)


def test_nt_xent_falls_as_the_views_align():
    torch.manual_seed(0)
    za, zb = torch.randn(2, 16, 8)
    losses = [nt_xent(za, torch.lerp(zb, za, share)).item() for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert losses == sorted(losses, reverse=True)


def test_nt_xent_of_identical_embeddings_is_the_log_of_the_candidates():
    z = torch.ones(5, 3)
    assert nt_xent(z, z).item() == pytest.approx(math.log(9))


def test_nt_xent_ignores_length_and_the_order_of_views():
    torch.manual_seed(0)
    za, zb = torch.randn(2, 6, 4)
    torch.testing.assert_close(nt_xent(3 * za, 0.1 * zb), nt_xent(za, zb))
    torch.testing.assert_close(nt_xent(zb, za), nt_xent(za, zb))


def test_losses_keep_full_precision_under_autocast():
    torch.manual_seed(0)
    za, zb = torch.randn(2, 32, 16)
    p1, p2 = torch.randn(2, 32, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        contrast, agreement = nt_xent(za, zb), simsiam(p1, zb, p2, za)
    assert contrast.dtype == agreement.dtype == torch.float32
    exact = nt_xent(za.double(), zb.double()), simsiam(p1.double(), zb.double(), p2.double(), za.double())
    assert contrast.item() == pytest.approx(exact[0].item(), rel=1e-6)
    assert agreement.item() == pytest.approx(exact[1].item(), rel=1e-5)


def test_simsiam_is_the_symmetric_negative_cosine_with_a_stopped_gradient():
    torch.manual_seed(0)
    p1, p2, z1, z2 = (torch.randn(4, 6, dtype=torch.float64, requires_grad=True) for _ in range(4))
    loss = simsiam(p1, z2, p2, z1)
    rows = [
        -(p1[i] @ z2[i] / p1[i].norm() / z2[i].norm() + p2[i] @ z1[i] / p2[i].norm() / z1[i].norm()) / 2
        for i in range(4)
    ]
    torch.testing.assert_close(loss, torch.stack(rows).mean())
    loss.backward()
    assert z1.grad is None
    assert z2.grad is None
    assert p1.grad.any()


def test_simsiam_is_minus_one_when_predictions_hit():
    z = torch.randn(5, 8)
    assert simsiam(z, 2 * z, 3 * z, z).item() == pytest.approx(-1)


@pytest.mark.parametrize("kind", list(OBJECTIVES))
def test_every_objective_trains_the_encoder_and_its_own_heads(kind):
    torch.manual_seed(0)
    objective = build_objective(kind, 16)
    ha, hb = (torch.randn(8, 16, requires_grad=True) for _ in range(2))
    loss = objective(ha, hb)
    assert loss.shape == ()
    loss.backward()
    for gradient in (ha.grad, hb.grad, *(p.grad for p in objective.parameters())):
        assert torch.isfinite(gradient).all()
    assert ha.grad.any()
    assert hb.grad.any()


@pytest.mark.parametrize("kind", list(OBJECTIVES))
def test_an_objective_falls_when_it_is_followed(kind):
    torch.manual_seed(0)
    objective = build_objective(kind, 8)
    encoder = torch.nn.Linear(12, 8)
    a = torch.randn(32, 12)
    b = a + 0.1 * torch.randn(32, 12)
    parameters = [*encoder.parameters(), *objective.parameters()]
    losses = []
    for _ in range(30):
        loss = objective(encoder(a), encoder(b))
        with torch.no_grad():
            for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                parameter -= 0.1 * gradient
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1


def test_options_reach_the_objective():
    assert build_objective("nt_xent", 16, temperature=0.5).temperature == 0.5


def test_an_unknown_objective_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="kind: simsiam"):
        build_objective("simsam", 16)


def test_the_table_of_objectives_imports_none_of_them():
    code = (
        "import sys; from unimontage.objectives import OBJECTIVES as table; "
        "assert not {'torch', *(place.split(':')[0] for place in table.values())} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_spread_is_one_on_the_sphere_zero_when_collapsed_and_half_way_between():
    torch.manual_seed(0)
    sphere = torch.randn(4000, 32)
    assert embedding_spread(sphere).item() == pytest.approx(1, abs=0.01)
    assert embedding_spread(torch.ones(50, 32)).item() == pytest.approx(0, abs=1e-6)
    assert embedding_spread(5 * sphere).item() == pytest.approx(embedding_spread(sphere).item())
    shifted = embedding_spread(sphere + 3 * torch.eye(32)[0] * 32**0.5).item()
    assert 0.1 < shifted < 0.5

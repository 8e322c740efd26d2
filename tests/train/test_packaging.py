import pytest
import torch

from nssa_gis.evaluate.calibration import ScoreLine
from nssa_gis.model.config import named_config
from nssa_gis.model.detector import Detector
from nssa_gis.train.packaging import calibrated


@torch.no_grad()
def test_the_line_through_the_logits_is_in_the_weights():
    torch.manual_seed(0)
    model = Detector(named_config("nssa-n", 2)).eval()
    for head in model.heads.values():
        head.classify[-1].weight.normal_(0, 0.3)
    x = torch.rand(1, 3, 64, 64)
    before = model(x)
    same = {k: v.clone() for k, v in model.state_dict().items()}
    model.load_state_dict(calibrated(model, ScoreLine(1.6, -0.4)))
    after = model(x)
    torch.testing.assert_close(after.logits, 1.6 * before.logits - 0.4, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(after.distances, before.distances)
    model.load_state_dict(same)
    assert calibrated(model, ScoreLine())["heads.4.classify.1.bias"].tolist() == pytest.approx(
        same["heads.4.classify.1.bias"].tolist()
    )

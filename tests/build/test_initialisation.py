import subprocess
import sys

import pytest
import torch
from torch import nn

from densepred.build.initialisation import WithoutInitialisation

WITHOUT_MEMORY = """
import sys
import torch
from torch import nn
from densepred.build.initialisation import WithoutInitialisation
with torch.device("meta"), WithoutInitialisation():
    parts = nn.Conv2d(3, 4, 3), nn.Linear(3, 4), nn.ConvTranspose2d(3, 4, 2), nn.Embedding(3, 4)
    for part in parts:
        nn.init.kaiming_normal_(part.weight)
        nn.init.xavier_uniform_(part.weight)
        nn.init.trunc_normal_(part.weight)
assert "torch._dynamo" not in sys.modules
"""


def test_parameters_begin_at_zero_and_nothing_is_drawn() -> None:
    state = torch.get_rng_state()
    with WithoutInitialisation():
        conv, embedding = nn.Conv2d(3, 4, 3), nn.Embedding(5, 6)
        nn.init.trunc_normal_(embedding.weight)
        nn.init.xavier_uniform_(conv.weight)
        nn.init.kaiming_normal_(conv.weight)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(not values.any() for values in (conv.weight, conv.bias, embedding.weight))


def test_other_tensors_are_filled() -> None:
    with WithoutInitialisation():
        assert torch.empty(100).normal_().std() > 0.5


def test_constants_stay() -> None:
    with WithoutInitialisation():
        norm = nn.BatchNorm2d(3)
    assert norm.weight.eq(1).all()
    assert norm.running_var.eq(1).all()


# The initialisers of torch 2.10 import it themselves. Which release between them was the first not to is not known.
@pytest.mark.skipif(torch.torch_version.TorchVersion(torch.__version__) < (2, 14), reason="of torch 2.14")
def test_shapes_alone_do_not_import_the_compiler_of_torch() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_MEMORY], check=True, timeout=900)

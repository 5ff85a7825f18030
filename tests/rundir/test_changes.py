"""Settings that came since an earlier run began stand at the values that it had without them."""

from __future__ import annotations

import pytest

from densepred.errors import UserError
from densepred.rundir.changes import completed, differences, refuse_changes

PSPNET = {"decoder._target_": "densepred.decoder.pspnet.PSPNet", "decoder.width": 8}
ASPP = {"decoder._target_": "densepred.decoder.deeplabv3.DeepLabV3", "decoder.width": 8}


@pytest.mark.parametrize(("former", "kernel"), [(PSPNET, 3), (ASPP, 1)])
def test_arguments_that_a_part_has_since_are_the_defaults_of_its_constructor(
    former: dict[str, object], kernel: int
) -> None:
    assert (
        differences(completed(former, {**former, "decoder.kernel": kernel}), {**former, "decoder.kernel": kernel}) == {}
    )
    typed = {**former, "decoder.kernel": 5}
    with pytest.raises(UserError, match=rf"decoder\.kernel: the run began with {kernel} and would go on with 5"):
        refuse_changes(completed(former, typed), typed, ())


def test_arguments_of_another_part_and_unknown_settings_were_not_there() -> None:
    now = {**ASPP, "decoder.kernel": 1, "trainer.new": 2, "decoder.new": 3}
    found = differences(completed(PSPNET, now), now)
    assert found["decoder.kernel"] == (None, 1)
    assert found["trainer.new"] == (None, 2)
    assert found["decoder.new"] == (None, 3)


def test_settings_of_a_training_that_came_since() -> None:
    found = completed({"seed": 1}, {"seed": 1, "data.foreground": 0.5, "trainer.sync_norm": True})
    assert found == {"seed": 1, "data.foreground": 0.0, "trainer.sync_norm": True}


def test_what_the_run_had_stays() -> None:
    former = {**ASPP, "decoder.kernel": 3, "data.foreground": 0.2}
    assert completed(former, {**former, "decoder.kernel": 1}) == former

"""A challenger that was judged, as its run hands it on."""

from typing import Any

from understudy.contract.judgement import GateResult, Judgement
from understudy.contract.release import Bundle
from understudy.contract.words import Verdict
from understudy.operators.handover import Evaluated


def evaluated(verdict: Verdict, is_blessed: bool) -> dict[str, Any]:
    bundle = Bundle(
        model="price",
        version=7,
        model_sha256="a",
        image_digest="i",
        code_commit="c",
        spec_sha256="s",
        data_version="d",
        run="r",
        reference_data="d",
    )
    result = GateResult(
        gate="roc_auc.floor", verdict=verdict, measured=0.6, bound="at least 0.7", sentence="roc_auc is 0.6"
    )
    judgement = Judgement(verdict=verdict, results=(result,))
    return Evaluated(
        bundle=bundle, champion_version=3, champion_epoch=2, judgement=judgement, is_blessed=is_blessed
    ).model_dump(mode="json")

from understudy.contract.judgement import GateResult
from understudy.contract.words import Verdict
from understudy.ui.render import sentence, worst_first


def test_what_failed_is_read_first_and_the_rest_keeps_its_order() -> None:
    told = [("data", Verdict.PASSED), ("skew", Verdict.INCONCLUSIVE), ("loss", Verdict.FAILED), ("age", Verdict.PASSED)]
    answers = [GateResult(gate=gate, verdict=verdict, bound="b", sentence="s") for gate, verdict in told]
    assert [answer.gate for answer in worst_first(answers)] == ["loss", "skew", "data", "age"]


def test_every_verdict_has_its_place() -> None:
    answers = [GateResult(gate=verdict.value, verdict=verdict, bound="b", sentence="s") for verdict in Verdict]
    assert len(worst_first(answers)) == len(Verdict)


def test_a_sentence_begins_with_a_capital_letter_and_keeps_the_others() -> None:
    assert sentence("held by Ann: the GDPR audit") == "Held by Ann: the GDPR audit"
    assert sentence("") == ""

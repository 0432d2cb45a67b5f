from understudy.contract.judgement import GateResult
from understudy.contract.words import Verdict
from understudy.ui.render import _templates, sentence, worst_first


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


def test_what_people_wrote_turns_no_reading_direction_and_is_no_markup() -> None:
    page = _templates().from_string("{% macro said() %}<b>{{ reason }}</b>{% endmacro %}{{ said() }}, and {{ 'ü' }}")
    assert page.render(reason="\N{RIGHT-TO-LEFT OVERRIDE}doog <i>") == "<b> doog &lt;i&gt;</b>, and ü"

from datetime import datetime, timedelta, timezone

from understudy.contract.alerts.alert import Alert, summary_of
from understudy.contract.alerts.rate import CRITICAL_PER_HOUR, next_turn
from understudy.contract.words import AlertKind

NOW = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
LIMIT = 4


def alert(minutes_ago: float, kind: AlertKind = AlertKind.REFUSED) -> Alert:
    at = NOW - timedelta(minutes=minutes_ago)
    return Alert(key=f"{kind}/{minutes_ago}", kind=kind, model="price", at=at, sentence=f"{minutes_ago} ago")


def ago(*minutes: float) -> list[datetime]:
    return [NOW - timedelta(minutes=one) for one in minutes]


def test_the_most_severe_goes_first_then_the_oldest() -> None:
    grave = alert(1, AlertKind.GATEWAY_DEAD)
    assert next_turn([alert(5), grave, alert(9)], [], NOW, LIMIT).alerts == (grave,)
    assert next_turn([alert(5), alert(9)], [], NOW, LIMIT).alerts == (alert(9),)


def test_the_last_message_of_an_hour_waits_a_minute_and_tells_all_that_is_left() -> None:
    sent = ago(50, 40, 30)
    assert next_turn([alert(0.5), alert(0)], sent, NOW, LIMIT).wait_until == NOW + timedelta(minutes=0.5)
    assert next_turn([alert(1), alert(0)], sent, NOW, LIMIT).alerts == (alert(1), alert(0))


def test_what_comes_after_that_waits_until_a_message_is_an_hour_old() -> None:
    turn = next_turn([alert(5)], ago(50, 40, 30, 20), NOW, LIMIT)
    assert (turn.alerts, turn.wait_until) == ((), NOW + timedelta(minutes=10))
    lowered = next_turn([alert(5)], ago(50, 40, 30, 20), NOW, 2)
    assert lowered.wait_until == NOW + timedelta(minutes=30), "the limit was lowered meanwhile"


def test_what_is_critical_does_not_wait_behind_the_limit() -> None:
    grave, minor = alert(0, AlertKind.ROLLBACK_FAILED), alert(5)
    for sent in (ago(50, 40, 30), ago(50, 40, 30, 20), ago(*range(1, CRITICAL_PER_HOUR - 1))):
        assert next_turn([minor, grave], sent, NOW, LIMIT).alerts == (grave,)


def test_what_is_critical_has_a_limit_of_its_own() -> None:
    last, over = ago(*range(1, CRITICAL_PER_HOUR)), ago(*(minute / 2 for minute in range(1, CRITICAL_PER_HOUR + 1)))
    grave = [alert(minutes, AlertKind.GATEWAY_DEAD) for minutes in (3, 2)]
    assert next_turn([*grave, alert(5)], last, NOW, LIMIT).alerts == tuple(grave)
    assert next_turn(grave, over, NOW, LIMIT).wait_until == NOW + timedelta(minutes=30)
    assert next_turn(grave, over, NOW, 100).alerts == (grave[0],), "a larger limit holds for all"


def test_messages_of_more_than_an_hour_ago_do_not_count() -> None:
    assert next_turn([alert(5)], ago(90, 80, 70, 60), NOW, LIMIT).alerts == (alert(5),)


def test_a_summary_is_as_grave_as_the_gravest_and_counts_the_kinds() -> None:
    told = summary_of([alert(3), alert(2), alert(1, AlertKind.ROLLED_BACK)])
    assert told.kind is AlertKind.ROLLED_BACK
    assert "3 alerts were held back by the limit per hour: 2 refused, 1 rolled back" in told.sentence
    assert told.numbers == ("3 ago", "2 ago", "1 ago")

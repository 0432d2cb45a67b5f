from understudy.contract.suggest import nearest


def test_a_close_name_is_proposed() -> None:
    assert nearest("heigth", ["height", "moon"]) == "; did you mean 'height'?"


def test_few_known_names_are_listed() -> None:
    assert nearest("xyz", ["moon", "height"]) == "; known: height, moon"
    assert nearest("xyz", []) == ""


def test_of_many_known_names_the_nearest_few_are_told_and_how_many_there_are() -> None:
    told = nearest("q", ["quarter", *(f"column_{number}" for number in range(10_000))])
    assert told.startswith("; the nearest of 10,001 known names: quarter, ")
    assert told.count(",") == 1 + 4
    assert len(told) < 200


def test_a_long_name_is_cut() -> None:
    assert nearest("y", ["a" * 200_000]) == f"; known: {'a' * 59}…"

import os
import pwd
import socket

import pytest

from understudy.hooks.account import own_account


def test_the_operating_system_says_who_acts_and_the_environment_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "SUDO_USER", "HOSTNAME"):
        monkeypatch.setenv(name, "olga")
    own = pwd.getpwuid(os.getuid()).pw_name
    assert own_account() == f"{own}@{socket.gethostname()} (command line)"


def test_an_account_without_a_name_is_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_242_424)
    assert own_account().startswith("uid 4242424@")

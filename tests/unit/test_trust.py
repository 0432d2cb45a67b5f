"""Whom an HTTP client believes."""

import ssl

import httpx
import pytest

from understudy.trust import trust_for


@pytest.mark.parametrize("url", ["https://airflow.example.com", "HTTPS://airflow.example.com:8443/base"])
def test_what_is_encrypted_is_verified_by_the_usual_authorities(url: str) -> None:
    assert trust_for(url) is True


def test_where_nothing_is_encrypted_nobody_is_believed_and_no_list_is_read() -> None:
    trusted = trust_for("http://127.0.0.1:8090")
    assert isinstance(trusted, ssl.SSLContext)
    assert trusted.get_ca_certs() == []
    # Should such a client ever be sent on to HTTPS, it verifies and therefore refuses.
    assert (trusted.verify_mode, trusted.check_hostname) == (ssl.CERT_REQUIRED, True)
    with httpx.Client(verify=trusted):
        pass

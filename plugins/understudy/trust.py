"""Whom an HTTP client believes."""

import ssl


def trust_for(url: str) -> ssl.SSLContext | bool:
    """Give what HTTPX verifies servers with: the usual authorities for HTTPS, nobody where nothing is encrypted.

    HTTPX reads the list of authorities for each client, also for plain HTTP, which has no use for it; that costs more
    processor time than a whole rollback.
    """
    return True if url.lower().startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

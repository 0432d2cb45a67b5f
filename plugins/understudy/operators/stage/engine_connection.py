"""Read from Airflow which Docker engine to use."""

from understudy.runners.engine import ClientFactory, Tls, local_client, named_client

TLS_PORT, PLAIN_PORT = 2376, 2375


def engine_of(conn_id: str) -> ClientFactory:
    """Read a connection once and return how to open its engine; the environment's engine without a connection.

    Host and port name the engine (``unix:///var/run/docker.sock``, ``tcp://engine:2376`` or a bare host); the extra
    fields ``tls_ca_cert``, ``tls_client_cert`` and ``tls_client_key`` are paths of PEM files on the worker.
    """
    if not conn_id:
        return local_client
    from airflow.sdk import BaseHook

    connection = BaseHook.get_connection(conn_id)
    if not connection.host:
        return local_client
    extra = connection.extra_dejson
    tls = None
    if "tls_ca_cert" in extra:
        tls = Tls(
            ca=extra["tls_ca_cert"], certificate=extra.get("tls_client_cert", ""), key=extra.get("tls_client_key", "")
        )
    where = connection.host
    if "://" not in where:
        where = f"tcp://{where}:{connection.port or (TLS_PORT if tls else PLAIN_PORT)}"
    return named_client(where, tls)

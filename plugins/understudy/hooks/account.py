"""Who runs this process, where no Airflow has asked for a name and a password."""

import os
import pwd
import socket

from understudy.contract.airflow_run import COMMAND_LINE


def own_account() -> str:
    """Name this process's account and machine as the ledger's actor, in a form that no login to Airflow has.

    The operating system is asked, not the environment, in which everybody may call themselves what they like.
    """
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:  # a container's user need not have a name
        name = f"uid {uid}"
    return f"{name}@{socket.gethostname()} ({COMMAND_LINE})"

"""Generated secrets: made once, readable by their owner only, never half written."""

import base64
import json
import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from understudy.contract.declared import Fact
from understudy.embedded.layout import Layout
from understudy.settings import Settings

ADMIN = "admin"


class Keys(Fact):
    """Hold the keys that all components of one Airflow must share."""

    fernet: str
    jwt: str
    session: str


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, so that no reader ever sees a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    # Opened with the mode, because a chmod afterwards leaves a moment in which others can read.
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)
    draft.replace(path)


def admin_password(layout: Layout) -> tuple[str, bool]:
    """Return the password of the admin user, and whether it was made just now."""
    if layout.passwords.is_file():
        return str(json.loads(layout.passwords.read_text(encoding="utf-8"))[ADMIN]), False
    password = secrets.token_urlsafe(12)
    write_private(layout.passwords, json.dumps({ADMIN: password}) + "\n")
    return password, True


def gateway_token(settings: Settings) -> SecretStr:
    """Return the token of this machine's gateway; make it on first use."""
    path = settings.gateway_dir / "token"
    while (known := settings.gateway_secret) is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}.new")
        write_private(draft, secrets.token_urlsafe(32) + "\n")
        try:
            os.link(draft, path)  # unlike a rename, the first of two processes wins and the other one takes its token
        except FileExistsError:
            continue
        finally:
            draft.unlink()
    return known


def keys(layout: Layout) -> Keys:
    """Return the stack's keys; make them on first use."""
    if layout.secrets.is_file():
        return Keys.model_validate_json(layout.secrets.read_text(encoding="utf-8"))
    made = Keys(
        fernet=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        jwt=secrets.token_hex(64),
        session=secrets.token_hex(32),
    )
    write_private(layout.secrets, made.model_dump_json())
    return made

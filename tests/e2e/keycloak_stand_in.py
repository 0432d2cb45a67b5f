"""What Keycloak answers at a realm's addresses during a sign-in: metadata, sign-in page, tokens, keys, user info.

It checks what Keycloak checks: client, secret, redirect address, the proof key, and that a code is used once.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

CLIENT = "airflow"
REALM_PATH = "/realms/company"
OPENID = f"{REALM_PATH}/protocol/openid-connect"
KEY_ID = "k1"
LIVES_S = 300

Query = dict[str, str]


class RealmServer(ThreadingHTTPServer):
    realm: "Keycloak"


class Handler(BaseHTTPRequestHandler):
    server: RealmServer

    def do_GET(self) -> None:
        realm, asked = self.server.realm, urlsplit(self.path)
        if asked.path == f"{REALM_PATH}/.well-known/openid-configuration":
            self._say(200, realm.metadata())
        elif asked.path == f"{OPENID}/certs":
            self._say(200, {"keys": [realm.public_key()]})
        elif asked.path == f"{OPENID}/auth":
            self._sign_in_page(_single(asked.query))
        elif asked.path == f"{OPENID}/userinfo":
            who = realm.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
            self._say(*((200, realm.claims(who)) if who else (401, {"error": "invalid_token"})))
        else:
            self._say(404, {"error": "there is nothing here"})

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        form = _single(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if path == f"{OPENID}/auth":
            self.send_response(302)
            self.send_header("Location", self.server.realm.signed_in(form.pop("username"), form))
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path == f"{OPENID}/token":
            self._say(*self.server.realm.exchange(self.headers.get("Authorization", ""), form))
        else:
            self._say(404, {"error": "there is nothing here"})

    def _sign_in_page(self, query: Query) -> None:
        problem = self.server.realm.problem_with(query)
        if problem:
            self._say(400, {"error": problem})
            return
        hidden = "".join(f'<input type=hidden name="{k}" value="{escape(v)}">' for k, v in query.items())
        page = f"<form method=post>{hidden}<input name=username><button>Sign in</button></form>"
        self._send(200, page.encode(), "text/html")

    def _say(self, status: int, content: Any) -> None:
        self._send(status, json.dumps(content).encode(), "application/json")

    def _send(self, status: int, body: bytes, media_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


@dataclass
class Keycloak:
    """A realm with one client and some people, each in some groups."""

    redirect_uris: set[str] = field(default_factory=set)
    groups: dict[str, list[str]] = field(default_factory=dict)
    secret: str = field(default_factory=lambda: secrets.token_hex(16))
    refused: list[str] = field(default_factory=list)
    _codes: dict[str, tuple[str, Query]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._key = generate_private_key(public_exponent=65537, key_size=2048)
        self._server = RealmServer(("127.0.0.1", 0), Handler)
        self._server.realm = self
        self.realm_url = f"http://127.0.0.1:{self._server.server_port}{REALM_PATH}"

    def metadata(self) -> dict[str, Any]:
        at = f"{self.realm_url}/protocol/openid-connect"
        return {
            "issuer": self.realm_url,
            "authorization_endpoint": f"{at}/auth",
            "token_endpoint": f"{at}/token",
            "userinfo_endpoint": f"{at}/userinfo",
            "jwks_uri": f"{at}/certs",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
        }

    def public_key(self) -> dict[str, Any]:
        told = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {**told, "kid": KEY_ID, "alg": "RS256", "use": "sig"}

    def claims(self, who: str) -> dict[str, Any]:
        return {
            "sub": hashlib.sha256(who.encode()).hexdigest(),
            "preferred_username": who,
            "given_name": who.title(),
            "family_name": "Lee",
            "email": f"{who}@example.com",
            "groups": self.groups[who],
        }

    def problem_with(self, query: Query) -> str | None:
        if query.get("client_id") != CLIENT:
            return "invalid_client"
        if query.get("redirect_uri") not in self.redirect_uris:
            return "invalid_redirect_uri"
        if query.get("code_challenge_method") != "S256" or "openid" not in query.get("scope", "").split():
            return "invalid_request"
        return None

    def signed_in(self, who: str, query: Query) -> str:
        code = secrets.token_urlsafe(16)
        self._codes[code] = (who, query)
        return f"{query['redirect_uri']}?{urlencode({'state': query['state'], 'code': code})}"

    def exchange(self, authorization: str, form: Query) -> tuple[int, dict[str, Any]]:
        given = base64.b64decode(authorization.removeprefix("Basic ")).decode() if authorization else ""
        client, _, secret = given.partition(":") if given else (form.get("client_id"), "", form.get("client_secret"))
        if (client, unquote(secret or "")) != (CLIENT, self.secret):
            self.refused.append("unauthorized_client")
            return 401, {"error": "unauthorized_client"}
        who, query = self._codes.pop(form.get("code", ""), ("", {}))
        proof = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        is_proved = base64.urlsafe_b64encode(proof).rstrip(b"=").decode() == query.get("code_challenge")
        if not who or not is_proved or form.get("redirect_uri") != query["redirect_uri"]:
            self.refused.append("invalid_grant")
            return 400, {"error": "invalid_grant"}
        now, token = int(time.time()), secrets.token_urlsafe(16)
        self.tokens[token] = who
        claims = {"iss": self.realm_url, "aud": CLIENT, "iat": now, "exp": now + LIVES_S, **self.claims(who)}
        if "nonce" in query:
            claims["nonce"] = query["nonce"]
        signed = jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": KEY_ID})
        return 200, {
            "access_token": token,
            "id_token": signed,
            "token_type": "Bearer",
            "expires_in": LIVES_S,
            "scope": query["scope"],
        }


@contextmanager
def keycloak() -> Iterator[Keycloak]:
    """Run one for a while."""
    realm = Keycloak()
    threading.Thread(target=realm._server.serve_forever, daemon=True).start()
    try:
        yield realm
    finally:
        realm._server.shutdown()
        realm._server.server_close()


def _single(query: str) -> Query:
    return {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}

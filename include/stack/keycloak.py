"""Airflow's sign-in by Keycloak instead of passwords of its own: AIRFLOW__FAB__CONFIG_FILE, docs/auth.md.

Who is in a group of Keycloak gets the role of the same line, anew at each sign-in; who is in none may do nothing.
"""

import os

from flask_appbuilder.const import AUTH_OAUTH

REALM = os.environ["KEYCLOAK_REALM_URL"].rstrip("/")
"""For example https://sso.example.com/realms/company."""

AUTH_TYPE = AUTH_OAUTH
AUTH_USER_REGISTRATION = True
AUTH_USER_REGISTRATION_ROLE = "Public"
AUTH_ROLES_SYNC_AT_LOGIN = True
AUTH_ROLES_MAPPING = {
    "/understudy/viewers": ["Viewer"],
    "/understudy/on-call": ["On-call"],
    "/understudy/platform": ["Platform"],
    "/understudy/admins": ["Admin"],
}
OAUTH_PROVIDERS = [
    {
        "name": "keycloak",
        "icon": "fa-key",
        "token_key": "access_token",
        "remote_app": {
            "client_id": os.environ.get("KEYCLOAK_CLIENT_ID", "airflow"),
            "client_secret": os.environ["KEYCLOAK_CLIENT_SECRET"],
            "server_metadata_url": f"{REALM}/.well-known/openid-configuration",
            "api_base_url": f"{REALM}/protocol/",
            "client_kwargs": {"scope": "openid profile email", "code_challenge_method": "S256"},
        },
    }
]

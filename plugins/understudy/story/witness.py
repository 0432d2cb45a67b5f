"""Ask the gateways, as any caller would, and see which version answers."""

from typing import Any

from understudy.contract.declared import Fact
from understudy.trust import trust_for

ASK_S = 15.0


class Witnessed(Fact):
    """What a gateway answered to a real request."""

    gateway: str
    status: int
    version: int | None
    epoch: int | None


def ask(gateways: tuple[str, ...], model: str, body: bytes) -> tuple[Witnessed, ...]:
    """Send one scoring request to each gateway, without the token that only we have."""
    return tuple(_ask(gateway, model, body) for gateway in gateways)


def _ask(gateway: str, model: str, body: bytes) -> Witnessed:
    import httpx

    # Never through a proxy: the demo's gateway is on this machine.
    with httpx.Client(base_url=gateway, timeout=ASK_S, trust_env=False, verify=trust_for(gateway)) as client:
        try:
            headers = {"Content-Type": "application/json"}
            answer = client.post(f"/models/{model}/invocations", content=body, headers=headers)
        except httpx.HTTPError:
            return Witnessed(gateway=gateway, status=0, version=None, epoch=None)
    told: Any = answer.headers
    version, epoch = (told.get(f"X-Understudy-{name}", "") for name in ("Version", "Epoch"))
    return Witnessed(
        gateway=gateway,
        status=answer.status_code,
        version=int(version) if version.isdigit() else None,
        epoch=int(epoch) if epoch.isdigit() else None,
    )

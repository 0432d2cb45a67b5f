"""MLflow's aliases: read, and set to what the deployment record says."""

from understudy.contract.release import Deployment
from understudy.contract.words import Alias, Change
from understudy.hooks.registry.client import RegistryClient, is_missing
from understudy.hooks.registry.errors import RegistryRefused


def aliases_of(registry: RegistryClient, model: str) -> dict[Alias, int]:
    """Return which version each of our aliases names."""
    try:
        with registry.asking() as client:
            named = dict(client.get_registered_model(model).aliases)
    except RegistryRefused as refused:
        if is_missing(refused):
            return {}
        raise
    return {alias: int(named[alias.value]) for alias in Alias if alias.value in named}


def align(registry: RegistryClient, deployment: Deployment) -> dict[Alias, int | None]:
    """Set the aliases to what the record says; return those that had to be changed.

    ``shadow`` names a challenger in rehearsal, never the previous champion in a new one's probation.
    """
    found = aliases_of(registry, deployment.model)
    is_rehearsal = deployment.change is Change.MIRROR_STARTED and deployment.mirror != deployment.previous
    wanted: dict[Alias, int | None] = {
        Alias.CHAMPION: deployment.champion.version,
        Alias.PREVIOUS_CHAMPION: deployment.previous.version if deployment.previous else None,
        Alias.SHADOW: deployment.mirror.version if deployment.mirror and is_rehearsal else None,
        Alias.CANARY: deployment.canary.version if deployment.canary else None,
    }
    if found.get(Alias.CHALLENGER) == deployment.champion.version:
        wanted[Alias.CHALLENGER] = None
    changed = {alias: version for alias, version in wanted.items() if found.get(alias) != version}
    with registry.asking() as client:
        for alias, version in changed.items():
            if version is None:
                client.delete_registered_model_alias(deployment.model, alias.value)
            else:
                client.set_registered_model_alias(deployment.model, alias.value, str(version))
    return changed

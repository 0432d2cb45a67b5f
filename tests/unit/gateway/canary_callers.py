"""Requests at a gateway with a canary."""

from tests.unit.gateway.fake_processes import MODEL, Scene, order, until
from understudy.contract.canary_split import CanarySplit
from understudy.contract.serving import ServingOrder
from understudy.contract.words import Change, Role
from understudy.gateway.exchange import Item, Wire
from understudy.gateway.waiting import Answered, Waiting

ITEM = Item(Wire.MLFLOW_JSON, b"x")


def tried(epoch: int = 2, share: float = 0.3, **serving: int) -> ServingOrder:
    change = Change.CANARY_STARTED if epoch == 2 else Change.CANARY_STEPPED
    return order(epoch, champion=1, canary=2, share=share, change=change, **serving)


def key_of(role: Role, share: float = 0.3) -> str:
    return keys_of(role, 1, share)[0]


def said(answered: Answered | None) -> tuple[Role, int, int]:
    assert answered is not None
    return answered.stamp.role, answered.stamp.epoch, int(answered.answer.body)


async def waiting_for(scene: Scene, role: Role, count: int = 3) -> list[Waiting]:
    """Let a side hold some requests: one in work, the others in its queue."""
    worker = scene.nursery.of(2) if role is Role.CANARY else scene.nursery.copy()
    worker.is_held = True
    asked = []
    for number, key in enumerate(keys_of(role, count)):
        asked.append(scene.model.intake.ask(ITEM, number, key))
        await until(lambda: bool(worker.frames) and not scene.model.lineup.queue)
    return asked


def keys_of(role: Role, count: int, share: float = 0.3) -> list[str]:
    split = CanarySplit(MODEL, 2, share)
    found = [key for key in map(str, range(10_000)) if split.assign(key).role is role]
    return found[:count]

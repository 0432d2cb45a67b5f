"""A model that does what nobody should let it do, and what is asked of it."""

import json
import re

from understudy.gateway.exchange import Item, Wire
from understudy.gateway.worker import Worker

NO_ERROR, ERROR = 0.0, 1.0

HOSTILE = '''
import ctypes, os, signal, socket, subprocess, sys, time
import numpy as np


class Model:
    """Do what the first row's column ``deed`` says, and answer 1 where the system refused it."""

    def predict(self, typed):
        deed, detail = int(typed["deed"].iloc[0]), int(typed["detail"].iloc[0])
        try:
            getattr(self, DEEDS[deed])(detail)
        except (OSError, KeyError):
            return np.ones(len(typed))
        return np.zeros(len(typed))

    def nothing(self, detail): pass
    def die(self, detail): os.kill(os.getpid(), signal.SIGKILL)
    def take_memory(self, detail): np.ones(detail << 20, dtype=np.uint8).sum()
    def flood(self, detail):
        for stream in (sys.stdout, sys.stderr):
            stream.write("x" * (detail << 20))
            stream.flush()
    def connect(self, detail): socket.create_connection(("127.0.0.1", detail), 5).close()
    def listen(self, detail): socket.create_server(("127.0.0.1", 0)).close()
    def write(self, detail): open(os.path.join("/tmp", f"understudy-worker-{detail}"), "w").close()
    def remove(self, detail): os.unlink(os.path.join("/tmp", f"understudy-worker-{detail}"))
    def run(self, detail): subprocess.run(["true"], check=True)
    def signal(self, detail): os.kill(detail, 0)
    def sleep(self, detail): time.sleep(detail / 1000)
    def spin(self, detail):
        while True: sum(range(1000))
    def babble(self, detail):
        for fd in range(3, 64):
            try: os.write(fd, b"\\xff" * 64)
            except OSError: pass
    def look_for_secret(self, detail): os.environ["A_SECRET_OF_THE_GATEWAY"]


DEEDS = [name for name in vars(Model) if not name.startswith("_") and name != "predict"]


def make():
    return Model()
'''
DEEDS = re.findall(r"^    def (\w+)\(self, detail\)", HOSTILE, re.MULTILINE)


def asking(deed: str, detail: int = 0) -> Item:
    return Item(Wire.MLFLOW_JSON, json.dumps({"inputs": {"deed": DEEDS.index(deed), "detail": detail}}).encode())


async def outcome(worker: Worker, deed: str, detail: int = 0) -> float:
    answer = (await worker.score([asking(deed, detail)]))[0]
    assert answer.status == 200
    return float(json.loads(answer.body)["predictions"][0])

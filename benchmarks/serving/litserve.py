"""Start LitServe on the same model, where somebody has installed it: it is no dependency of ours."""

import sys
from contextlib import ExitStack
from pathlib import Path

from benchmarks.serving.servers import Server, free_port, started

PROGRAM = """
import sys
from pathlib import Path
import litserve
import pandas as pd

class Answers(litserve.LitAPI):
    def setup(self, device):
        from understudy.stages.model.model_files import load_model
        self.scorer = load_model(Path(sys.argv[1]))

    def decode_request(self, request):
        return pd.DataFrame(**request["dataframe_split"])

    def predict(self, frame):
        return self.scorer.predict(frame)

    def encode_response(self, output):
        return {"predictions": output.tolist()}

litserve.LitServer(Answers(), api_path="/predict").run(port=int(sys.argv[2]), generate_client_file=False)
"""


def litserve_server(folder: Path, scratch: Path, stack: ExitStack) -> Server:
    """Serve the model's own answers; pandas and the scorer as in every other row."""
    port = free_port()
    program = scratch / "litserve_app.py"
    program.write_text(PROGRAM, encoding="utf-8")
    command = [sys.executable, str(program), str(folder), str(port)]
    return stack.enter_context(
        started("LitServe", command, port, "/predict", health="/health", log=scratch / "litserve.log")
    )

"""What a gateway is started with."""

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from understudy.contract.declared import Fact

ScoringIsolation = Literal["auto", "docker", "process"]


class GatewayConfig(Fact):
    """Say who a gateway is, where it listens and keeps its state, and what it will not take."""

    name: str = Field(min_length=1)
    """Different for each replica; acknowledgements carry it."""
    host: str = "127.0.0.1"
    port: int = Field(default=8090, ge=0, le=65_535)
    """With 0, a free one."""
    state_dir: Path
    """Holds ``records/<model>.json`` and ``log/<model>/``."""
    bundles_dir: Path
    """Holds the model files of each version: ``<model>/<version>/``."""
    peers: tuple[str, ...] = ()
    """The base URLs of all replicas, to give labels to; its own may be among them."""
    token: SecretStr | None = None
    """What the admin API asks for; without one it is closed."""
    isolation: ScoringIsolation = "auto"
    """Which versions are scored in containers: those that may need other libraries, all that an image trained, none."""
    verify_keys: tuple[Path, ...] = ()
    """The public keys one of which must have signed what is served; without any, nothing has to be signed."""
    max_body_bytes: int = Field(default=16 << 20, ge=1)
    max_bodies_bytes: int = Field(default=512 << 20, ge=1)
    """How much all requests that are not answered yet may hold; more are answered with 503."""
    max_upload_bytes: int = Field(default=8 << 30, ge=1)
    """The largest version that may be uploaded, packed and unpacked."""
    max_mirror_bytes: int = Field(default=64 << 20, ge=1)
    """How much may wait for a mirror, for each model; more is dropped and counted."""
    max_connections: int = Field(default=1_000, ge=1)
    """One more is answered with 503."""
    header_timeout_s: float = Field(default=10.0, gt=0)
    body_timeout_s: float = Field(default=30.0, gt=0)
    """For requests to score; an upload has as long as it goes on."""
    keep_alive_s: float = Field(default=75.0, gt=0)
    """How long an idle connection is kept."""
    compact_s: float = Field(default=600.0, gt=0)
    """How often closed segments of the log become Parquet; one is closed after a quarter of an hour or 64 MB."""
    drain_s: float = Field(default=10.0, ge=0)
    """How long a stop waits for answers under way."""

    @property
    def key(self) -> str:
        """Tell what is this gateway's from what is another's on the same Docker engine."""
        return hashlib.sha256(str(self.state_dir.resolve()).encode()).hexdigest()[:12]

    @property
    def records_dir(self) -> Path:
        """Where the acknowledged records are."""
        return self.state_dir / "records"

    @property
    def glass_dir(self) -> Path:
        """Where it is kept what was taken back by break-glass."""
        return self.state_dir / "break-glass"

    def log_dir(self, model: str) -> Path:
        """Where a model's predictions and labels are."""
        return self.state_dir / "log" / model

    def bundle_dir(self, model: str, version: int) -> Path:
        """Where a version's files are."""
        return self.bundles_dir / model / str(version)

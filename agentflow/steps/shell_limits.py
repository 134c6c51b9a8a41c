"""Keeps scripts to the limits of `native:shell`: which programs, in which folders, with which variables."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from agentflow.definition.skill_limits import FilesystemLimits, ShellLimits
from agentflow.steps.limits import denied
from agentflow.steps.not_started import cannot_start

_SKILL: Final = "native:shell"
_STEERING: Final = (
    "PATH", "LD_*", "DYLD_*", "GLIBC_TUNABLES", "GCONV_PATH", "BASH_ENV", "ENV", "SHELLOPTS", "BASHOPTS", "PS4", "IFS",
    "ZDOTDIR", "HOME", "XDG_*", "PYTHON*", "NODE_*", "npm_config_*", "NPM_CONFIG_*", "PERL*", "RUBY*", "GEM_*",
    "BUNDLE_*", "JAVA_*", "_JAVA_OPTIONS", "JDK_*", "CLASSPATH", "LUA_*", "PHP*", "R_*", "DOTNET_*", "OPENSSL_*",
    "GTK_*", "QT_*", "MAKEFLAGS", "GNUMAKEFLAGS", "TAR_OPTIONS", "RSYNC_*", "GIT_*", "SSH_*", "SUDO_*", "EDITOR",
    "VISUAL", "*PAGER", "LESS*", "BROWSER", "CURL_HOME", "WGETRC",
)  # fmt: skip
"""Variables by which an allowed program runs another one. Of a step with limited programs they need leave by name."""


def allowed_program(limits: ShellLimits, program: str, env: Mapping[str, str], folder: Path, cwd: Path) -> str | None:
    """Return the file that is started for a program's name or path: the very one that was looked at.

    Returns:
        None where no programs are listed.

    Raises:
        StepError: it, or a variable that is set for it, isn't allowed; or it is, but there is none.
    """
    _check_env(limits, env)
    rules = limits.programs
    if rules is None:
        return None
    path = _absolute(env.get("PATH") or os.environ.get("PATH") or os.defpath)
    found = _file(program, cwd, path)
    for rule in rules:
        if found is not None and found == _file(rule, folder, path):
            return found
        if found is None and rule == program:
            raise cannot_start(f'there is no program "{program}"', "look at PATH, and at the program's name")
    raise denied(f'the program "{program}"', _SKILL, "programs", rules, program)


def allowed_folder(shell: ShellLimits | None, files: FilesystemLimits | None, cwd: Path, folder: Path) -> Path:
    """Return the folder that a script runs in, links followed.

    Raises:
        StepError: it isn't allowed.
    """
    real = cwd.resolve()
    limits = (
        (_SKILL, "folders", None if shell is None else shell.folders),
        ("native:filesystem", "roots", None if files is None else files.roots),
    )
    for skill, limit, rules in limits:
        if rules is not None and not inside(real, rules, folder):
            raise denied(f'the folder "{cwd}"', skill, limit, rules, os.path.relpath(real, folder.resolve()))
    return real


def allowed_place(limits: FilesystemLimits | None, path: str, folder: Path) -> Path:
    """Return a file or folder, links followed; raises StepError where it isn't allowed."""
    real = (folder / path).resolve()
    if limits is not None and limits.roots is not None and not inside(real, limits.roots, folder):
        place = os.path.relpath(real.parent, folder.resolve())
        raise denied(f'the file "{path}"', "native:filesystem", "roots", limits.roots, place)
    return real


def inside(real: Path, rules: Iterable[str], folder: Path) -> bool:
    """Tell whether a place without links is one of some folders, or below one."""
    return any(real.is_relative_to((folder / rule).resolve()) for rule in rules)


def _check_env(limits: ShellLimits, env: Mapping[str, str]) -> None:
    rules = limits.env
    if rules is None and limits.programs is None:
        return
    for name in env:
        if rules is None:
            if any(fnmatchcase(name, each) for each in _STEERING):
                raise denied(f'the variable "{name}", which makes programs run others,', _SKILL, "env", (), name)
        elif not any(fnmatchcase(name, rule) for rule in rules):
            raise denied(f'the variable "{name}"', _SKILL, "env", rules, name)


def _file(program: str, base: Path, path: str) -> str | None:
    """Return the file of a program; links of its folder are followed, not its own: some programs go by their name."""
    found = str(base / program) if "/" in program else shutil.which(program, path=path)
    if not found or not path:
        return None
    parent, name = os.path.split(found)
    return os.path.join(os.path.realpath(parent), name)


def _absolute(path: str) -> str:
    """Leave out folders that would be sought from wherever the script runs."""
    return os.pathsep.join(each for each in path.split(os.pathsep) if os.path.isabs(each))

"""Imports the user's functions: from allowed modules only, the config's folder first."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from agentflow.errors import StepError
from agentflow.steps.failing import message_of, raised
from agentflow.steps.passing import passes

_lock = threading.RLock()
"""`sys.path` and `sys.modules` are the process's: engines take turns."""
_loaded: dict[str, ModuleType] = {}
"""Modules that were read from some config's folder, by name."""


class ModuleLoader:
    """Loads `module:function` from allowed modules.

    The config's folder is searched first for an allowed module, and last for whatever such a module imports: a file
    there can't take the place of an installed package by accident.
    """

    def __init__(self, folder: Path | None, modules: Iterable[str]) -> None:
        """Make a loader.

        Args:
            folder: the config's folder.
            modules: what may be imported; a package allows its submodules.
        """
        self._folder = str(folder.resolve()) if folder is not None else None
        self._modules = tuple(modules)
        self._on_path = False

    def allows(self, module: str) -> bool:
        """Tell whether a module may be imported."""
        return any(module == one or module.startswith(f"{one}.") for one in self._modules)

    def load(self, target: str) -> Callable[..., Any]:
        """Return a function by its name `module:function`.

        Raises:
            StepError: it isn't allowed, isn't there, or its module fails.
        """
        module_name, _, path = target.partition(":")
        if not module_name or not path:
            raise _error(f'"{target}" is no function; write it like module:function', "AF-PYTHON-UNKNOWN")
        if not self.allows(module_name):
            raise _error(
                f'module "{module_name}" isn\'t allowed',
                "AF-PYTHON-DENIED",
                hint=f'list it in the config: python: {{modules: ["{module_name}"]}}',
            )
        found: Any = self._import(module_name)
        for part in path.split("."):
            if not hasattr(found, part):
                names = [name for name in dir(found) if not name.startswith("_")]
                near = get_close_matches(part, names, 1)
                hint = f'did you mean "{module_name}:{near[0]}"?' if near else None
                raise _error(f'module "{module_name}" has no function "{path}"', "AF-PYTHON-UNKNOWN", hint=hint)
            found = getattr(found, part)
            _check_own(found, part, module_name)
        if not callable(found):
            raise _error(f'"{target}" is no function but a {type(found).__name__}', "AF-PYTHON-UNKNOWN")
        return found

    def read(self, module: str) -> None:
        """Import an allowed module for what it registers.

        Raises:
            StepError: it isn't there, or fails.
        """
        self._import(module)

    def close(self) -> None:
        """Take the folder off the path again."""
        with _lock:
            if self._on_path and self._folder in sys.path:
                sys.path.reverse()
                sys.path.remove(self._folder)
                sys.path.reverse()
            self._on_path = False

    def _import(self, name: str) -> ModuleType:
        with _lock:
            if not self._on_path and self._folder is not None:
                sys.path.append(self._folder)
                self._on_path = True
            try:
                top = name.partition(".")[0]
                module = self._from_folder(top)
                return importlib.import_module(name) if module is None or name != top else module
            except StepError:
                raise
            except ModuleNotFoundError as error:
                if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
                    where = f" in {self._folder} or" if self._folder else ""
                    raise _error(
                        f'there is no module "{name}"', "AF-PYTHON-UNKNOWN", why=f"looked{where} on the path"
                    ) from None
                raise _import_failed(name, error) from error
            except BaseException as error:  # a module may end the process while it is imported: SystemExit
                raise _import_failed(name, error) from error

    def _from_folder(self, top: str) -> ModuleType | None:
        """Import a top-level module from the folder; None if the folder has none."""
        spec = PathFinder.find_spec(top, [self._folder]) if self._folder else None
        if spec is None or spec.loader is None or spec.origin is None:
            return None
        known = sys.modules.get(top)
        if known is not None:
            if getattr(known, "__file__", None) == spec.origin:
                return known
            if _loaded.get(top) is not known:
                raise _error(
                    f'module "{top}" is taken: {getattr(known, "__file__", None) or "it is built in"}',
                    "AF-PYTHON-UNKNOWN",
                    hint=f"give {Path(spec.origin).name} another name",
                )
            for name in [one for one in sys.modules if one == top or one.startswith(f"{top}.")]:
                del sys.modules[name]  # another config's module of the same name; its functions keep working
        module = importlib.util.module_from_spec(spec)
        sys.modules[top] = _loaded[top] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            sys.modules.pop(top, None)
            raise
        return sys.modules.get(top, module)


def _check_own(found: Any, part: str, module: str) -> None:
    """Refuse ways out of an allowed module: other modules that it imports, and what Python itself keeps in it.

    Raises:
        StepError: it is one.
    """
    other = isinstance(found, ModuleType) and not found.__name__.startswith(f"{module}.")
    if other or (part.startswith("__") and part.endswith("__")):
        raise _error(
            f'"{part}" isn\'t of the module "{module}"', "AF-PYTHON-DENIED",
            hint=f'name the module itself: "{found.__name__}:…", and list it in the config' if other else None,
        )  # fmt: skip


def _error(what: str, code: str, *, why: str | None = None, hint: str | None = None) -> StepError:
    return StepError(what, code=code, kind="invalid", retryable=False, why=why, hint=hint)


def _import_failed(name: str, error: BaseException) -> StepError:
    return StepError(
        f'module "{name}" can\'t be imported: {message_of(error)}',
        code="AF-PYTHON-IMPORT",
        retryable=passes(error),
        data=raised(error),
    )

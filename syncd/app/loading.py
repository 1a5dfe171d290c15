"""Finding an app by the name given on the command line: `pkg.mod:app` or `pkg.mod.app`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from syncd.app.app import App
from syncd.errors import AppError

__all__ = ["load_app"]

_HINT = "Name the module and the App in it, such as 'syncd.apps.grassroots:app', from the folder the module is in."


def load_app(name: str) -> App:
    """Import the module and return the App in it; raises `AppError` with a sentence if that cannot be.

    Modules are looked for in the working directory too, as `python -m` does.
    """
    module_name, _, attribute = name.partition(":") if ":" in name else name.rpartition(".")
    if (
        not module_name
        or not attribute.isidentifier()
        or not all(part.isidentifier() for part in module_name.split("."))
    ):
        raise AppError(f"{name!r} does not name an app", hint=_HINT)
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except AppError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise AppError(f"there is no module {error.name!r} for the app {name!r}", hint=_HINT) from error
        raise AppError(
            f"the app module {module_name!r} needs {error.name!r}, which is not installed", hint="Install it."
        ) from error
    except Exception as error:
        raise AppError(f"the app module {module_name!r} cannot be loaded: {type(error).__name__}: {error}") from error
    app = getattr(module, attribute, None)
    if isinstance(app, App):
        app.upgrades.check()
        return app
    apps = sorted(key for key, value in vars(module).items() if isinstance(value, App))
    if apps:
        hint = f"It holds: {', '.join(f'{module_name}:{key}' for key in apps)}."
    elif isinstance(getattr(app, "app", None), App):
        hint = f"Did you mean '{module_name}.{attribute}:app'?"
    else:
        hint = _HINT
    missing = f"the module {module_name!r} has no {attribute!r}"
    other = f"{attribute!r} in the module {module_name!r} is a {type(app).__name__}, not a syncd.app.App"
    raise AppError(missing if app is None else other, hint=hint)

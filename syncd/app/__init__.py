"""What an app author imports; these names are the whole public surface.

Declarations only: the engine calls them. Knows conflict_rules and syncd.errors, and nothing else of the server.
"""

from conflict_rules import Change
from syncd.app import rules
from syncd.app.access import private, roles
from syncd.app.app import App
from syncd.app.builtin import Conflict
from syncd.app.hooks import Hook, HookTransaction, Veto
from syncd.app.loading import load_app
from syncd.app.open_app import open_app
from syncd.app.personal import personal
from syncd.app.resource import Resource, ResourceType, new_id
from syncd.app.upgrades import Intent
from syncd.app.views import Resources, View

__all__ = [
    "App",
    "Change",
    "Conflict",
    "Hook",
    "HookTransaction",
    "Intent",
    "Resource",
    "ResourceType",
    "Resources",
    "Veto",
    "View",
    "load_app",
    "new_id",
    "open_app",
    "personal",
    "private",
    "roles",
    "rules",
]

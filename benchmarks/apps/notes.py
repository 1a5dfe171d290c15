"""The app of the workloads with documents: notes that several people write at one time.
`syncd serve benchmarks.apps.notes:app`."""

from __future__ import annotations

from typing import Annotated

from syncd.app import App, Resource, rules

__all__ = ["Note", "app"]

app = App("notes")


@app.resource(scope="notebook:{notebook}")
class Note(Resource):
    """One note; its text is a document."""

    notebook: str
    text: Annotated[str, rules.crdt] = ""

"""The app of `forgetful_club`, by a name that a server process can be given."""

from tests.jobs.forgetful_club import forgetful_club

app = forgetful_club()

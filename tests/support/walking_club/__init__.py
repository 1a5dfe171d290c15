"""One app in three versions, as an author would leave them behind: each module is what was deployed at its time."""

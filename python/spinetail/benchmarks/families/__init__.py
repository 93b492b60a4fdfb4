"""One file per family of measurements; a new file enrols by being here."""

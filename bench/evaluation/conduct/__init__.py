"""Who leads: a plan carried out, rehearsed, estimated, checked or spread over processes."""

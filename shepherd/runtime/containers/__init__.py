"""Named containers that are looked after: a record on disk and a monitor process for each."""

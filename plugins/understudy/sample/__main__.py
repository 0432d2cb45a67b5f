"""``python -m understudy.sample``: put the sample in its place, unless it is there."""

from understudy.sample.file import PATH, write_sample

if not PATH.is_file():
    write_sample()

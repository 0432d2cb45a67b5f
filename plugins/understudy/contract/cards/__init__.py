"""A decision in plain words: the same card on a page, in an alert and in the terminal."""

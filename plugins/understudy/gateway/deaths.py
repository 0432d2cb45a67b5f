"""The deaths of a version's process: how many in a row, and how long to wait before it is started again."""

LONGEST_PAUSE_S = 5.0
# A process that lived this long has shown that it can.
SETTLED_S = 60.0


class Deaths:
    """Count them, from the last process on that has lived long enough."""

    def __init__(self) -> None:
        self.in_a_row = 0

    def add(self, lived_s: float) -> float:
        """Count one, of a process that lived so long; return how many seconds to wait before the next start."""
        self.in_a_row = 1 if lived_s > SETTLED_S else self.in_a_row + 1
        # The first restart is immediate: most deaths are one-offs, and requests wait.
        return 0.0 if self.in_a_row == 1 else min(0.25 * 2.0 ** (self.in_a_row - 2), LONGEST_PAUSE_S)

    def forget(self) -> None:
        """Begin to count anew."""
        self.in_a_row = 0

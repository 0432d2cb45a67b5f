"""Read a container's log."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from understudy.runners.engine import in_plain_words
from understudy.runners.log_lines import frames, lines
from understudy.runners.protocol import LogLine

if TYPE_CHECKING:
    from docker import APIClient


def read_log(client: "APIClient", container: str, *, follow: bool) -> Iterator[LogLine]:
    """Yield the lines from the first one until the log, or the connection, ends.

    docker-py's logs() merges the two streams, and its attach() can lose lines between the backlog and what follows.
    """
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    url = f"{client.base_url}/v{client.api_version}/containers/{container}/logs"
    asked = {"follow": int(follow), "stdout": 1, "stderr": 1}
    with in_plain_words():
        response = client.get(url, params=asked, stream=True, timeout=(client.timeout, None))
    with response:
        if response.ok:  # else it is gone, or just being removed, as the status will tell
            try:
                yield from lines(frames(response.raw.read))
            except (RequestException, HTTPError):
                return  # the caller looks whether the container ended or only the connection did

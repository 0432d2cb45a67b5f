"""The bundle of a model m, for rows of a prediction log."""

from understudy.contract.release import Bundle


def a_bundle(sha256: str, version: int = 1) -> Bundle:
    return Bundle(
        model="m",
        version=version,
        model_sha256=sha256,
        image_digest="b",
        code_commit="c",
        spec_sha256="d",
        data_version="e",
        run="r",
        reference_data="e",
    )

"""Which failures of an import may pass when the same is tried again (promises.md E19)."""

from dicomweb_gateway.errors import (
    BucketError,
    GatewayError,
    ImportTrouble,
    UpstreamInvalid,
    UpstreamNotFound,
)


def may_pass(error: GatewayError) -> bool:
    """Whether waiting can help.

    Not with what HealthImaging or S3 find malformed or do not have. A refusal passes: a role that was made a
    moment ago is not known everywhere yet. So do quotas of jobs, conflicts, throttling, failures of the other
    side and lost connections, and logs that a job has yet to leave.
    """
    if isinstance(error, BucketError):
        return error.may_pass
    return isinstance(error, ImportTrouble) or not isinstance(error, UpstreamInvalid | UpstreamNotFound)

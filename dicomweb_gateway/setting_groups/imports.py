"""The settings of imports: the bucket that files go through, and what HealthImaging may do with it."""

import re

from pydantic import field_validator

from dicomweb_gateway.setting_groups.store import StoreSettings

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ROLE = re.compile(r"arn:[\w-]+:iam::\d{12}:role/[\w+=,.@/-]{1,1000}")
_KEY = re.compile(r"arn:[\w-]+:kms:[\w-]+:\d{12}:(?:key|alias)/[\w/-]{1,256}")


class ImportSettings(StoreSettings):
    """Where `import` puts files, and as whom HealthImaging reads them."""

    s3_endpoint: str | None = None
    """S3 endpoint, such as MinIO's or moto's URL; unset: AWS."""
    import_bucket: str | None = None
    """Bucket that `import` puts files into; unset: none, as an emulator on this machine allows."""
    import_output_bucket: str | None = None
    """Bucket that import jobs write their logs to; unset: IMPORT_BUCKET."""
    import_prefix: str = "dicomweb-gateway/"
    """Prefix in both, below which everything of an import lies."""
    import_role_arn: str | None = None
    """Role that HealthImaging assumes to read and write there."""
    import_kms_key_arn: str | None = None
    """KMS key that staged files are encrypted with; unset: as the bucket has it."""

    @field_validator("import_bucket", "import_output_bucket")
    @classmethod
    def _bucket(cls, name: str | None) -> str | None:
        if name is not None and (not _BUCKET.fullmatch(name) or ".." in name):
            raise ValueError("must be the name of a bucket, without s3://")
        return name

    @field_validator("import_role_arn")
    @classmethod
    def _role(cls, arn: str | None) -> str | None:
        if arn is not None and not _ROLE.fullmatch(arn):
            raise ValueError("must be the ARN of an IAM role")
        return arn

    @field_validator("import_kms_key_arn")
    @classmethod
    def _key(cls, arn: str | None) -> str | None:
        if arn is not None and not _KEY.fullmatch(arn):
            raise ValueError("must be the ARN of a KMS key")
        return arn

    @field_validator("s3_endpoint")
    @classmethod
    def _s3(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("must be an http or https URL")
        return url

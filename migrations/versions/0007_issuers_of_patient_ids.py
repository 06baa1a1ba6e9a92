"""An index for IssuerOfPatientID: access rules ask for nothing else at sites that share an archive."""

from alembic import op
from sqlalchemy import inspect

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

NAME = "gateway_study_issuer"


def upgrade() -> None:
    # MySQL commits each change of the schema by itself: after a break it must be possible to start again.
    present = {index["name"] for index in inspect(op.get_bind()).get_indexes("gateway_study")}
    if NAME not in present:
        op.create_index(NAME, "gateway_study", ["issuerofpatientid"])

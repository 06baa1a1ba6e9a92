"""An index for IssuerOfPatientID, by which sites that share an archive are told apart: their latest first.

Rules that ask for nothing else then cost what a search without rules does.
"""

from alembic import op
from sqlalchemy import inspect

revision = "0007_from_0006"
down_revision = "0006"
branch_labels = None
depends_on = None

NAME = "gateway_study_issuer"
COLUMNS = ["issuerofpatientid", "is_main", "studydate", "studytime", "study_uid"]


def upgrade() -> None:
    # MySQL commits each change of the schema by itself: after a break it must be possible to start again.
    present = {index["name"] for index in inspect(op.get_bind()).get_indexes("gateway_study")}
    if NAME not in present:
        op.create_index(NAME, "gateway_study", COLUMNS)

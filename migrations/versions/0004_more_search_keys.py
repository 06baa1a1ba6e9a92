"""Indexes for the study keys that were read row by row: StudyID, PatientBirthDate and StudyDescription."""

from alembic import op
from sqlalchemy import inspect

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INDEXES = {
    "gateway_study_studyid": "studyid",
    "gateway_study_birthdate": "patientbirthdate",
    "gateway_study_description": "studydescription",
}


def upgrade() -> None:
    # MySQL commits each change of the schema by itself: after a break it must be possible to start again.
    present = {index["name"] for index in inspect(op.get_bind()).get_indexes("gateway_study")}
    for name, column in INDEXES.items():
        if name not in present:
            op.create_index(name, "gateway_study", [column])

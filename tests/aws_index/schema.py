"""The schema `ahiindex` of the AWS metadata index, written from its description (healthimaging.md 6.1).

Narrow columns, doubled keys, missing indexes and all: nothing here is how we would do it.
"""

KEY = "bigint NOT NULL AUTO_INCREMENT PRIMARY KEY"

TABLES = (
    f"""CREATE TABLE issuer (issuer_pkey {KEY},
        issuerofpatientid varchar(64) NOT NULL, description varchar(1024),
        UNIQUE KEY issuer_unique (issuerofpatientid))""",
    f"""CREATE TABLE patient (patient_pkey {KEY}, issuer_pkey bigint NOT NULL,
        patientid varchar(64), patientname varchar(64), patientbirthdate date, patientsex varchar(16),
        patientcomments text,
        UNIQUE KEY patient_unique (patientid, issuer_pkey), KEY (patientid), KEY (patientname),
        FOREIGN KEY (issuer_pkey) REFERENCES issuer (issuer_pkey) ON DELETE CASCADE)""",
    f"""CREATE TABLE study (study_pkey {KEY}, patient_pkey bigint NOT NULL,
        studyinstanceuid varchar(64) NOT NULL, accessionnumber varchar(16), studyid varchar(16),
        studydate date, studytime time, studydescription varchar(64), referringphysicianname varchar(64),
        numberofstudyrelatedseries int, numberofstudyrelatedinstances int,
        UNIQUE KEY study_unique (studyinstanceuid), KEY (accessionnumber), KEY (studyinstanceuid),
        FOREIGN KEY (patient_pkey) REFERENCES patient (patient_pkey) ON DELETE CASCADE)""",
    f"""CREATE TABLE series (series_pkey {KEY}, study_pkey bigint NOT NULL,
        seriesinstanceuid varchar(64) NOT NULL, modality varchar(16), seriesnumber varchar(12),
        seriesdescription varchar(64), institutionname varchar(64), bodypartexamined varchar(16),
        stationname varchar(16), manufacturer varchar(64), protocolname varchar(64), laterality varchar(16),
        numberofseriesrelatedinstances int,
        UNIQUE KEY series_unique (seriesinstanceuid), KEY (seriesinstanceuid),
        FOREIGN KEY (study_pkey) REFERENCES study (study_pkey) ON DELETE CASCADE)""",
    f"""CREATE TABLE instance (instance_pkey {KEY}, series_pkey bigint NOT NULL,
        sopinstanceuid varchar(64) NOT NULL, sopclassuid varchar(64) NOT NULL, imagetype varchar(64),
        instancenumber int, acquisitiondate date, acquisitiontime time, contentdate date, contenttime time,
        photometricinterpretation varchar(16), numberofframes int, `rows` int, `columns` int,
        bitsallocated int, bitsstored int, highbit int, rescaleslope varchar(16),
        rescaleintercept varchar(16), pixelrepresentation int, windowcenter varchar(16),
        windowwidth varchar(16), observationtime datetime, contentdescription varchar(64),
        imageset_pkey bigint NOT NULL,
        UNIQUE KEY instance_unique (sopinstanceuid), UNIQUE KEY instance_unique_2 (sopinstanceuid),
        FOREIGN KEY (series_pkey) REFERENCES series (series_pkey) ON DELETE CASCADE)""",
    f"""CREATE TABLE frame (frame_pkey {KEY}, instance_pkey bigint NOT NULL,
        imageset_pkey bigint NOT NULL, framenumber int NOT NULL, frameid varchar(32) NOT NULL,
        UNIQUE KEY frame_unique (frameid), KEY (instance_pkey), KEY (imageset_pkey), KEY (frameid),
        FOREIGN KEY (instance_pkey) REFERENCES instance (instance_pkey) ON DELETE CASCADE)""",
    f"""CREATE TABLE imageset (imageset_pkey {KEY}, series_pkey bigint NOT NULL,
        imagesetid varchar(32) NOT NULL, datastoreid varchar(32) NOT NULL,
        UNIQUE KEY imageset_unique (imagesetid, datastoreid), KEY (imagesetid), KEY (datastoreid))""",
    f"""CREATE TABLE conflict (conflict_pkey {KEY}, series_pkey bigint NOT NULL,
        imageset_pkey bigint NOT NULL, priority int NOT NULL, conflict_type varchar(32))""",
    f"""CREATE TABLE importjob (importjob_pkey {KEY}, sourceprefix varchar(2048) NOT NULL,
        manifestprefix varchar(2048) NOT NULL, submittedat datetime NOT NULL, startedat datetime,
        completedat datetime, logicalstatus int NOT NULL, ahijobid varchar(32) NOT NULL, ahijobstatus int)""",
    f"CREATE TABLE imagetype (imagetype_pkey {KEY}, type varchar(16) NOT NULL)",
    f"""CREATE TABLE tag (tag_pkey {KEY}, series_pkey bigint NOT NULL, imageset_pkey bigint NOT NULL,
        `key` varchar(256) NOT NULL, value varchar(256) NOT NULL, description varchar(1024))""",
)

_PATIENT = (
    "issuerofpatientid, description, patientid, patientname, patientbirthdate, patientsex, patientcomments"
)
_STUDY = """studyinstanceuid, accessionnumber, studyid, studydate, studytime, studydescription,
    referringphysicianname, numberofstudyrelatedseries, numberofstudyrelatedinstances"""
_SERIES = """seriesinstanceuid, modality, seriesnumber, seriesdescription, institutionname,
    bodypartexamined, manufacturer, protocolname, laterality, numberofseriesrelatedinstances"""
_JOINED = """issuer JOIN patient USING (issuer_pkey) JOIN study USING (patient_pkey)
    JOIN series USING (study_pkey)"""

VIEWS = (
    f"CREATE VIEW full_series_view AS SELECT {_PATIENT}, {_STUDY}, {_SERIES} FROM {_JOINED}",
    f"""CREATE VIEW full_study_view AS SELECT {_PATIENT}, {_STUDY},
        group_concat(DISTINCT modality SEPARATOR '/') AS modalitiesinstudy
        FROM {_JOINED} GROUP BY studyinstanceuid""",
)

SEED = ("INSERT INTO issuer (issuerofpatientid) VALUES ('DEFAULT_DOMAIN')",)

STATEMENTS = (*TABLES, *VIEWS, *SEED)
"""What makes the schema in an empty database of MySQL or MariaDB."""

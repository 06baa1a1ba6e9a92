"""Sorts the files of a job into groups that become visible together: one group, one image set."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from dicomweb_gateway.dicom.found_files import FoundFile, printable
from dicomweb_gateway.emulator.ingest.reading import Identity
from dicomweb_gateway.emulator.jobs import SKIPPED, FileOutcome


@dataclass(slots=True)
class Group:
    """Files with the same grouping elements (healthimaging.md 2.5), in path order."""

    files: list[FoundFile] = field(default_factory=list)


@dataclass(slots=True)
class Plan:
    """Groups in the order of their first files, and the files that another file has made superfluous."""

    groups: list[Group] = field(default_factory=list)
    skipped: list[FileOutcome] = field(default_factory=list)


def plan_groups(identified: Iterable[tuple[FoundFile, Identity]], taken: dict[str, str]) -> Plan:
    """Group files, which come in path order.

    `taken` maps SOP Instance UIDs that are already spoken for to the path that did: an earlier run of this
    job, or an earlier import where unchanged files are skipped. One SOP Instance UID in two groups stays
    with the group that had it first; within a group both are imported, so that they can be compared.
    """
    plan = Plan()
    groups: dict[tuple[object, ...], Group] = {}
    owner: dict[str, tuple[Group, str]] = {}
    for file, identity in identified:
        key = (identity.study_uid, identity.series_uid, identity.study_key, identity.series_key)
        group = groups.get(key)
        claim = owner.get(identity.instance_uid)
        holder = taken.get(identity.instance_uid)
        if holder is None and claim is not None and claim[0] is not group:
            holder = claim[1]
        if holder is not None and holder != file.path:
            message = f"an instance with this SOP Instance UID is already imported from {printable(holder)}"
            plan.skipped.append(FileOutcome(file.path, SKIPPED, identity.instance_uid, message=message))
            continue
        if group is None:
            group = groups[key] = Group()
            plan.groups.append(group)
        owner.setdefault(identity.instance_uid, (group, file.path))
        group.files.append(file)
    return plan

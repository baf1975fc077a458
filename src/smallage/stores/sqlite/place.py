"""Where the database file is, and whether it is ours alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from smallage.core.errors import ImproperlyConfigured, StoreRefused, StoreUnavailable

PREFIX: Final = "sqlite:///"
NETWORK_FILESYSTEMS: Final = frozenset(
    {
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ncpfs", "coda", "ceph", "glusterfs", "lustre", "gpfs",
        "beegfs", "ocfs2", "gfs2", "vboxsf", "prl_fs", "virtiofs", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph",
        "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.davfs", "fuse.juicefs",
    }
)  # fmt: skip
"""Filesystems whose locks or shared memory do not hold between machines."""


def path_of(url: str, namespace: str) -> Path:
    """The database file that `url` names, as an absolute path; its folder's links are resolved, its own is not."""
    if not url.startswith(PREFIX):
        raise ImproperlyConfigured(
            f"{url!r} is no SQLite URL: write sqlite:///relative/path or sqlite:////absolute/path"
        )
    text = url[len(PREFIX) :]
    if "?" in text or ":memory:" in text:
        raise ImproperlyConfigured(
            "The SQLite store takes no '?' options and no :memory:; for tests use memory://, and for a question mark "
            "in a name write %3F"
        )
    if "%" in text:
        from urllib.parse import unquote_to_bytes

        try:
            text = unquote_to_bytes(text).decode()
        except UnicodeDecodeError:
            raise ImproperlyConfigured(f"{url!r} has a '%' that stands for no character; write %25 for it") from None
    if not text or text.endswith("/") or "\0" in text:
        raise ImproperlyConfigured("A SQLite URL names a file, such as sqlite:///.smallage/queue.db")
    path = Path(text).expanduser()
    if namespace != "smallage":
        if not namespace or "/" in namespace or namespace.startswith("."):
            raise ImproperlyConfigured(
                f"The namespace {namespace!r} cannot be part of a file name; use letters and dashes"
            )
        path = path.with_name(f"{path.stem}.{namespace}{path.suffix}")
    return Path(os.path.realpath(path.parent)) / path.name


def make_file(path: Path) -> None:
    """Create the folder (0700) and an empty file (0600) if they are not there. Never opens a file that exists: closing
    any descriptor of a database drops the locks that this process has on it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return
    os.fchmod(descriptor, 0o600)
    os.close(descriptor)


def check_folder(folder: Path) -> None:
    """Raise StoreRefused unless only we can put files here."""
    try:
        found = os.stat(folder)
    except OSError as error:
        raise StoreUnavailable(f"The folder of the store, {folder}, cannot be read: {error.strerror}") from error
    if found.st_uid not in (os.geteuid(), 0):
        raise StoreRefused(f"{folder} belongs to another user; give the store a folder of your own")
    if found.st_mode & 0o022:
        raise StoreRefused(f"Others may write to {folder}: run `chmod go-w {folder}` or use a folder of your own")
    kind = filesystem_of(folder, _mounts())
    if kind in NETWORK_FILESYSTEMS:
        raise StoreRefused(
            f"{folder} is on {kind}, where SQLite's locks do not hold between machines. Put the file on a local disk, "
            "or use Redis when several machines share the work."
        )


def check_file(path: Path) -> os.stat_result:
    """What `lstat` says of the database; StoreRefused unless it is a plain file of ours that nobody else may read."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        raise StoreRefused(
            f"There is no store at {path}; call setup() on the store, or start a worker, first"
        ) from None
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise StoreRefused(f"{path} is a link or no plain file; name the file itself in the URL")
    if found.st_nlink != 1:
        raise StoreRefused(f"{path} has {found.st_nlink} hard links; copy it to a file of its own")
    for each in (path, wal_of(path), shm_of(path)):
        _check_owner(each)
    return found


def _check_owner(path: Path) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if found.st_uid != os.geteuid():
        raise StoreRefused(f"{path} belongs to user {found.st_uid}, you are {os.geteuid()}; run as its owner")
    if found.st_mode & 0o077:
        raise StoreRefused(f"Others may read {path}, which holds tasks' arguments: run `chmod 600 {path}`")


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def shm_of(path: Path) -> Path:
    return path.with_name(path.name + "-shm")


def runtime_of(path: Path) -> Path:
    """The folder beside the database for locks and sockets."""
    return path.with_name(path.name + ".d")


def make_runtime(path: Path) -> Path:
    """The 0700 folder for locks and sockets, made if need be and checked to be ours."""
    folder = runtime_of(path)
    folder.mkdir(mode=0o700, exist_ok=True)
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise StoreRefused(f"{folder} must be a folder that only you can enter: remove it, or run `chmod 700 {folder}`")
    return folder


def _mounts() -> str:
    try:
        return Path("/proc/self/mountinfo").read_text(errors="replace")
    except OSError:
        return ""


def filesystem_of(folder: Path, mountinfo: str) -> str:
    """The type of the filesystem that `folder` is on, from the text of /proc/self/mountinfo; "" if it does not say."""
    best, kind = "", ""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = fields[4].replace("\\040", " ")
        inside = point == "/" or str(folder) == point or str(folder).startswith(point + "/")
        if inside and len(point) >= len(best):
            best, kind = point, after.split(" ")[0]
    return kind


class Identity:
    """Which file and write-ahead log a process has open, to notice when another file takes their place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wal = wal_of(path)
        found = check_file(path)
        self._file = (found.st_dev, found.st_ino)
        self._log: tuple[int, int] | None = None

    def forget_log(self) -> None:
        """All connections of this process are closed: SQLite may start another log."""
        self._log = None

    def check(self) -> None:
        """Raise StoreRefused if the file or its log is no longer the one that was opened."""
        self.check_file()
        log = _place_of(self._wal)
        if self._log is None:
            self._log = log
        elif log != self._log:
            raise StoreRefused(
                f"{self._wal} was removed or replaced while in use; it holds the newest tasks. Stop every process that "
                "uses it, put it back if you can, and start again."
            )

    def check_file(self) -> None:
        """Raise StoreRefused if the file is no longer the one that was opened."""
        if _place_of(self._path) != self._file:
            raise StoreRefused(
                f"{self._path} was removed, replaced or linked elsewhere while in use. Stop every process that uses "
                "it, put the right file back, and start again."
            )


def _place_of(path: Path) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found.st_nlink == 1 else None

"""Names of keys and fields, and the short spelling of ids.

Every key begins with `{namespace}:`, one hash tag, so that each verb is one script on one slot of a cluster. No key
that carries work has a time to live; each has an owner that removes it.

    t:<id>               hash   a task's record, fields below
    p:<id> y:<id> u:<id> string payload, result, progress of more than 64 bytes: in the hash they would turn it from a
                                compact list into a table several times larger
    r:<queue>:<priority> list   ready entries, the next one at the left: a task id, or g + a group's raw id
    q:<queue>            hash   m: bits of the priorities 1 to 9 that may have entries; z: paused; h: held back lines
    qn qt, nn nt         hash   numbers of queue names and back; numbers of task names and back
    n                    hash   open tasks: queue number + state letter → number
    d                    zset   scheduled entries by due instant in µs; also % + number of a name whose limit holds back
    w                    zset   waiting bodies and seats
    x                    zset   dead tasks by their end
    l                    zset   sessions by lease end in µs
    h:<session>          hash   L lease, I announced info, i inbox, m names, Q queues, o nonce of the last claim
    s:<session>          set    ids it holds
    lc nc                hash   lease length → live sessions that have it; task name → sessions that announced it
    i:<inbox> i:<inbox>: list   orders; orders taken by the reader and not yet known to have arrived
    b:<queue>            list   the queue's bell: at most 64 strokes
    g:<raw id>           hash   a group, fields below
    g:<raw id>:a:<n>     list   rows of places 128 n …; of unlike members a hash, place → id
    g:<raw id>:r:<n>     list   ends of like members (include/moves.lua: member_end)
    g:<raw id>:b         bits   like members that ended without keeping a record
    g:<raw id>:d         set    places of dead members
    g:<raw id>:l         hash   of like members: place → id of those that came late, and of those that were replaced
    f:<minute>           list   ids whose life after the end is over in that minute
    f                    zset   minutes that have such a list
    f:keep               list   ended ids that are kept until forgotten
    ts                   list   tombstones, the oldest at the left
    gu gl                set    groups of unlike members; groups that have an `l`
    ra                   zset   ids revoked before they came, by when. In the place of their records stands s 7 and e
    gz                   list   removed groups whose chunks are still to be removed
    lk lm                set, hash  keys with limits; number of a limited name → µs from token to token, burst
    m:<key>              hash   d default and o operator's limit, t time its tokens have reached, h entries held back
    hb:<queue>:<priority>:<key>  list  entries held back: of no ready line, and ready all the same
    hq:<queue> hl:<key>  zset, hash  such lines of a queue (priority:key); of a key (priority:queue → how many)
    y:<name> y           hash, set   schedules: s spec, o source, p paused, c since, l last instant, n fired, x removed
    yx                   zset   removed schedules whose last instant is remembered
    an:<ticket>          hash   n + node → answer, @ the latest; for a minute
    pn:<name> pn         list, set   parked tasks by name; names that have some
    k                    string last token
    c                    hash   epoch, schema, reached (last announce or tick), grace, totals
    w:<id>               any    the bytes of a damaged record whose key had a wrong type
    e:<id>               channel  something about this task or group changed

Kept free for what comes later: `rk: rf:` fair lines, `u` unique keys, `a:<id>` attempts and logs, `n:<minute>`
aggregates.

Fields of a record (absent is the default):

    s  state: absent ready, @<session> running, 1 scheduled, 2 waiting, 3 parked, 4 done, 5 dead, 6 cancelled;
       7: no record, but a revoke that came before the task
    n  number of the task's name; absent in a like member, which takes this and more from its group
    p  payload · g  digest · q  queue number (0 celery) · r  priority · a  pushed at, µs
    k  highest token · b  its distance from the start, k − b is when it started · o  nonce while running
    z  last settled token; 1, and the state done, mean that of k
    e  ended at · c  reason (dead: absent is failed) · y  result · u  progress
    v  failures, crashes, losses, releases · h  generation (1) · x  expires at, 0 never
    t  kept for, µs (a day) · m  crash and loss budgets (3 10)
    f  flags: 1 revoked while running, 2 ran when cancelled, 4 left an entry in the ready line, 8 16 32: p y u is a key,
       64 has one of x v h i j z u A, which the short ways of claim and settle do not read, 128 256 the envelope's
       follow, 512 a seat, 1024 its id is in ra, 2048 held back by a limit, 4096 its end was given by another task
    i  raw group id + place, of an unlike member · j  raw id of the group whose body this is
    A  what a follow-up follows: see include/following.lua
    F fair key, U unique key: kept free

Fields of a group:

    a opened · e ended · B body ended · K kept for · z sealed · v revoked · b body id · h body's own times
    T total · L late members among them, in a like group · c cursor · w places beyond it that were touched
    D done · F failed · C cancelled · R running · Y retries
    S seq · V ranges cancelled as a whole · H reach of a revoke in progress · U unlike members
    n q r g p t m x, f follow: the template's, as in a record · d due · P is in scheduled order · M is held back
"""

from __future__ import annotations

from smallage.core.errors import ImproperlyConfigured
from smallage.core.message import member_of

SCHEMA = "1"

STATES = {"1": "scheduled", "2": "waiting", "3": "parked", "4": "done", "5": "dead", "6": "cancelled"}


def prefix(namespace: str) -> str:
    """What every key begins with. Raises ImproperlyConfigured for a namespace that would break the hash tag."""
    if not namespace or not namespace.isprintable() or "{" in namespace or "}" in namespace:
        raise ImproperlyConfigured("A namespace is printable text without braces, such as 'smallage' or 'shop'.")
    return f"{{{namespace}}}:"


def encode_id(task_id: str) -> bytes:
    """An id as keys and lists hold it: 16 raw bytes of a UUID, `m` + raw group id + place of a like member, else `x` +
    text (`y` + text + `.` where that would be 16 bytes long)."""
    if len(task_id) == 36 and (raw := _uuid_bytes(task_id)) is not None:
        return raw
    if (place := member_of(task_id)) is not None:
        return b"m%b%d" % (bytes.fromhex(place[0].replace("-", "")), place[1])
    text = task_id.encode("utf-8", "surrogatepass")
    return b"x" + text if len(text) != 15 else b"y" + text + b"."


def _uuid_bytes(text: str) -> bytes | None:
    """The bytes of a canonical UUID of 36 characters; `is_uuid` in a third of the time, since every push needs it."""
    if text[8] != "-" or text[13] != "-" or text[18] != "-" or text[23] != "-":
        return None
    digits = text.replace("-", "")
    if len(digits) != 32 or digits != digits.lower():
        return None
    try:
        raw = bytes.fromhex(digits)
    except ValueError:
        return None
    return raw if len(raw) == 16 else None  # spaces are not digits


def decode_id(raw: bytes) -> str:
    """The id that `encode_id` made `raw` from."""
    if len(raw) == 16:
        return uuid_text(raw)
    kind = raw[:1]
    if kind == b"m":
        return f"{uuid_text(raw[1:17])}.{raw[17:].decode()}"
    return (raw[1:] if kind == b"x" else raw[1:-1]).decode("utf-8", "surrogatepass")


def uuid_text(raw: bytes) -> str:
    """The canonical spelling of a UUID's 16 bytes."""
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

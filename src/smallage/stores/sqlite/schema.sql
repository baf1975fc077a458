-- The tables of the SQLite store. Times are microseconds since 1970 by the wall clock, except those called *_boot,
-- which count from the machine's start. Instants that never come are 1 << 62.
-- States: 1 scheduled, 2 ready, 3 running, 4 waiting, 5 parked, 6 done, 7 dead, 8 cancelled.

-- One row: the last token, the grace rule, counters.
create table book (
  one integer primary key check (one = 1),
  tok integer not null default 0,
  reached_boot integer,
  grace_boot integer not null default 0,
  stale integer not null default 0,
  pruned integer not null default 0,
  purged integer not null default 0,
  rates integer not null default 0, -- rows of `rate`
  ahead integer not null default 0 -- rows of `ahead`
) strict;

create table meta (
  key text primary key,
  value any
) strict, without rowid;

-- Kind: 0 a task, 1 a like member of a group, 2 a group's place in the order, 3 a rate's (neither has an id or is claimed).
-- Seat: 1 for a place that waits for a message, or was cancelled while it did.
-- Follow: as in the envelope; its ends are followed up. After: this row follows up another task's end.
-- Hold: the key of the limit that keeps a ready task or group out of the order.
create table task (
  seq integer primary key,
  id text unique,
  kind integer not null default 0,
  state integer not null,
  queue text not null,
  priority integer not null,
  pos integer not null default 0,
  name text not null,
  gen integer not null default 1,
  tok integer not null default 0,
  settled integer not null default 0,
  session integer,
  nonce text,
  grp text,
  idx integer,
  body_of text,
  failures integer not null default 0,
  crashes integer not null default 0,
  lost integer not null default 0,
  releases integer not null default 0,
  ran integer not null default 0,
  revoked integer not null default 0,
  ignored integer not null default 0,
  due_us integer,
  expires_us integer,
  pushed_us integer not null,
  started_us integer not null default 0,
  ended_us integer not null default 0,
  prune_us integer,
  keep_us integer not null,
  max_crashes integer not null,
  max_lost integer not null,
  reason text,
  digest blob not null,
  unique_key text,
  fair_key text,
  limit_keys text,
  envelope blob, -- of a group's body, whose delay and expiry count from its release
  progress blob,
  payload blob,
  result blob,
  seat integer not null default 0,
  follow integer not null default 0,
  hold text,
  after blob, -- a msgpack array: the ended task's id, why it ended, its row
  check (state between 1 and 8),
  check ((state = 3) = (session is not null)),
  check ((state = 3) = (nonce is not null)),
  check (state <> 3 or tok > 0),
  check ((state = 1) = (due_us is not null)),
  check ((state >= 6) = (ended_us > 0)),
  check ((state >= 6) = (prune_us is not null)),
  check ((id is null) = (kind >= 2)),
  check ((kind in (1, 2)) <= (grp is not null)),
  check (kind <> 2 or state in (1, 2)),
  check (kind <> 3 or state = 1),
  check (seat = 0 or (state in (4, 8) and payload is null)),
  check (hold is null or state = 2)
) strict;

create index ready on task (queue, priority, pos) where state = 2 and hold is null;
create index held_back on task (queue, priority, hold, pos) where hold is not null;
create index hold_lines on task (hold, queue, priority) where hold is not null;
create index due on task (due_us, queue) where state = 1;
create index held on task (session, tok) where state = 3;
create index waiting on task (queue) where state = 4;
create index parked on task (name, pos) where state = 5;
create index ended on task (state, ignored, prune_us) where state >= 6;
create index member on task (grp, idx) where grp is not null;
create unique index unique_open on task (unique_key) where unique_key is not null and state < 6;

-- Groups. Like members stand behind a cursor; `holes` of them past the cursor have ended already.
create table grp (
  num integer primary key,
  id text not null unique,
  keep_us integer not null,
  opened_us integer not null,
  total integer not null default 0,
  cursor integer not null default 0,
  holes integer not null default 0,
  done integer not null default 0,
  failed integer not null default 0,
  cancelled integer not null default 0,
  running integer not null default 0,
  retried integer not null default 0,
  sealed integer not null default 0,
  revoked integer not null default 0,
  body text,
  body_ended_us integer not null default 0,
  changes integer not null default 0,
  ended_us integer not null default 0,
  prune_us integer,
  late integer not null default 0, -- unlike members at the end of a group of like ones
  check (done + failed + cancelled <= total),
  check (cursor + holes <= total),
  check (running >= 0)
) strict;

create index grp_ended on grp (prune_us) where prune_us is not null;

-- What all like members of a group share.
create table template (
  num integer primary key references grp on delete cascade,
  name text not null,
  queue text not null,
  priority integer not null,
  due_us integer,
  expires_us integer,
  keep_us integer not null,
  max_crashes integer not null,
  max_lost integer not null,
  digest blob not null,
  payload blob not null,
  follow integer not null default 0
) strict;

-- Arguments of like members, 100 places a row: a msgpack array of byte strings.
create table grp_row (
  num integer not null references grp on delete cascade,
  chunk integer not null,
  rows blob not null,
  unique (num, chunk)
) strict;

-- Like members that ended without leaving a task: the row is the bit that counts them once.
create table grp_result (
  num integer not null references grp on delete cascade,
  idx integer not null,
  state integer not null,
  gen integer not null default 1,
  settled integer not null default 0,
  started_us integer not null default 0,
  ended_us integer not null,
  reason text,
  result blob,
  primary key (num, idx),
  check (state in (6, 8))
) strict, without rowid;

create table session (
  sid integer primary key,
  name text not null unique,
  nonce text not null default '',
  lease_us integer not null,
  lease_end_boot integer not null,
  boot_id text not null,
  inbox text not null
) strict;

-- What a session announced; apart, because its row changes with every claim.
create table session_info (
  sid integer primary key references session on delete cascade,
  info blob not null
) strict;

-- Task names that live sessions know.
create table session_name (
  name text not null,
  sid integer not null references session on delete cascade,
  primary key (name, sid)
) strict, without rowid;

create index session_names on session_name (sid);

create table queue (
  name text primary key,
  paused integer not null default 0
) strict, without rowid;

create table inbox (
  seq integer primary key autoincrement,
  box text not null,
  session text not null,
  kind text not null,
  id text not null,
  tok integer not null,
  text text not null
) strict;

create index inbox_box on inbox (box, seq);

-- Limits by key, the code's and the operator's (null: none), the theoretical arrival time, and the row of the key's place
-- among the scheduled tasks.
create table rate (
  key text primary key,
  tokens integer,
  per_us integer,
  burst integer,
  own_tokens integer,
  own_per_us integer,
  own_burst integer,
  tat integer not null default 0,
  entry integer
) strict, without rowid;

-- Ids that were revoked before there were tasks of them.
create table ahead (
  id text primary key,
  at_us integer not null
) strict, without rowid;

create index ahead_at on ahead (at_us);

-- Removed ones are remembered for a while.
create table schedule (
  name text primary key,
  spec blob not null,
  source text not null,
  paused integer not null default 0,
  since_us integer not null,
  last_us integer,
  fired integer not null default 0,
  removed_us integer
) strict, without rowid;

-- What nodes answered, by ticket.
create table answer (
  ticket text not null,
  node text not null,
  data blob not null,
  at_us integer not null,
  primary key (ticket, node)
) strict, without rowid;

create index answer_at on answer (at_us);

-- For what is still to come: attempts and logs.
create table attempt (
  task text not null,
  n integer not null,
  at_us integer not null,
  entry blob not null,
  primary key (task, n)
) strict, without rowid;

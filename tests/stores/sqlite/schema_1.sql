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
  purged integer not null default 0
) strict;

create table meta (
  key text primary key,
  value any
) strict, without rowid;

-- Kind: 0 a task, 1 a like member of a group, 2 a group's place in the order (no id, never claimed itself).
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
  check (state between 1 and 8),
  check ((state = 3) = (session is not null)),
  check ((state = 3) = (nonce is not null)),
  check (state <> 3 or tok > 0),
  check ((state = 1) = (due_us is not null)),
  check ((state >= 6) = (ended_us > 0)),
  check ((state >= 6) = (prune_us is not null)),
  check ((id is null) = (kind = 2)),
  check (kind = 0 or (grp is not null and state <> 4)),
  check (kind <> 2 or state in (1, 2))
) strict;

create index ready on task (queue, priority, pos) where state = 2;
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
  payload blob not null
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

-- For what is still to come: schedules' last instants, limits, what follows ends made by the store, attempts and logs.
create table schedule (
  name text primary key,
  last_us integer not null,
  spec blob
) strict, without rowid;

create table spec (
  key text primary key,
  value blob not null
) strict, without rowid;

create table follow (
  seq integer primary key,
  id text not null unique
) strict;

create table attempt (
  task text not null,
  n integer not null,
  at_us integer not null,
  entry blob not null,
  primary key (task, n)
) strict, without rowid;

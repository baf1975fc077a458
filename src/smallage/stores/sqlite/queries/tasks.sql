-- task_columns: What `rows.Task` is made of; a prefix for other queries.
select t.seq, t.id, t.kind, t.state, t.queue, t.priority, t.name, t.gen, t.tok, t.settled, t.session, t.nonce, t.grp,
  t.idx, t.body_of, t.failures, t.crashes, t.lost, t.releases, t.ran, t.revoked, t.due_us, t.expires_us, t.pushed_us,
  t.started_us, t.ended_us, t.prune_us, t.keep_us, t.max_crashes, t.max_lost, t.payload is not null,
  t.seat, t.follow, t.hold, t.after, t.reason

-- task_by_id: One task, after `task_columns`.
from task t where t.id = ?1

-- tasks_by_ids: Tasks whose ids are in the array ?1 (ids without NUL), after `task_columns`.
from carray(?1) k cross join task t on t.id = k.value

-- tasks_due: What is due at ?1, in order of due time, after `task_columns`.
from task t where t.state = 1 and t.due_us <= ?1 order by t.due_us, coalesce(t.id, '*' || t.grp) limit ?2

-- tasks_held: What a session holds, newest token first, after `task_columns`.
from task t where t.state = 3 and t.session = ?1 order by t.tok desc

-- task_by_seq: One task by its row, after `task_columns`.
from task t where t.seq = ?1

-- tasks_claimed: What a session still holds of a claim, after `task_columns`.
from task t where t.state = 3 and t.session = ?1 and t.nonce = ?2 order by t.tok

-- tasks_parked: Parked tasks of one name, in order of parking, after `task_columns`.
from task t where t.state = 5 and t.name = ?1 order by t.pos limit ?2

-- tasks_parked_all: Parked tasks of all names, in order of name and parking, after `task_columns`.
from task t where t.state = 5 order by t.name, t.pos limit ?1

-- tasks_parked_old: Parked tasks that were pushed at ?1 or before, after `task_columns`.
from task t where t.state = 5 and t.pushed_us <= ?1 limit ?2

-- tasks_of_group_open: Members of a group that have tasks which have not ended, after `task_columns`.
from task t where t.grp = ?1 and t.kind <> 2 and t.state < 6 order by t.idx

-- tasks_of_group_dead: Members of a group that failed, after `task_columns`.
from task t where t.grp = ?1 and t.kind <> 2 and t.state = 7 order by t.idx

-- tasks_linked_ready: Ready tasks of a queue that a group must hear of or something follows, after `task_columns`.
from task t where t.state = 2 and t.hold is null and t.queue = ?1 and t.kind <> 2
  and (t.grp is not null or t.body_of is not null or t.follow = 2)

-- tasks_linked_scheduled: Scheduled ones, after `task_columns`.
from task t where t.state = 1 and t.queue = ?1 and t.kind <> 2
  and (t.grp is not null or t.body_of is not null or t.follow = 2)

-- cursor_of_group: The place of a group in the order, after `task_columns`.
from task t where t.grp = ?1 and t.kind = 2

-- task_insert: A new task, unless the id is taken.
insert into task (id, state, queue, priority, pos, name, grp, idx, body_of, due_us, expires_us, pushed_us,
  keep_us, max_crashes, max_lost, digest, envelope, payload, follow, seat)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (id) do nothing

-- task_digest: What a push compares with the task that has its id: digest, kind, end of its life and of its group's,
-- seat, state, whether another's end has ended it, whether it is a member, and whether it is a body.
select t.id, t.seq, t.digest, t.kind, t.prune_us, g.prune_us, t.seat, t.state,
  t.state = 7 and (t.reason is 'upstream' or t.reason is 'expired' and t.payload is null), t.grp is not null,
  t.body_of is not null
from task t left join grp g on g.id = t.grp where t.id = ?1

-- task_digests: The same for an array of ids, with the id.
select t.id, t.seq, t.digest, t.kind, t.prune_us, g.prune_us, t.seat, t.state,
  t.state = 7 and (t.reason is 'upstream' or t.reason is 'expired' and t.payload is null), t.grp is not null,
  t.body_of is not null
from carray(?1) k cross join task t on t.id = k.value left join grp g on g.id = t.grp

-- task_take_out: Remove a task by its id.
delete from task where id = ?1

-- task_delete: Remove a task.
delete from task where seq = ?1

-- finish_plain: End a running task as done that belongs to no group, if the claim is the current one.
update task set state = 6, session = null, nonce = null, settled = ?3, ended_us = ?6, progress = null, payload = null,
  result = case keep_us when 0 then null else ?5 end, ignored = keep_us = 0,
  prune_us = case keep_us when 0 then ?6 + 60000000 when -1 then 1 << 62 else ?6 + keep_us end
where id = ?1 and state = 3 and gen = ?2 and tok = ?3 and nonce = ?4 and grp is null and body_of is null

-- member_finish: The end, as done, of a running like member of the group ?7, if the claim is the current one.
insert into grp_result (num, idx, state, gen, settled, started_us, ended_us, result)
select ?7, idx, 6, gen, tok, started_us, ?6, case keep_us when 0 then null else ?5 end
from task where id = ?1 and state = 3 and gen = ?2 and tok = ?3 and nonce = ?4 and kind = 1

-- member_leave: A like member that has ended gives up its task.
delete from task where id = ?1

-- current_claims: How many of the claims [id, generation, token, nonce, …] are current, as finish_plain asks it.
select count(*) from json_each(?1) as given cross join task
where task.id = given.value ->> 0 and state = 3 and gen = given.value ->> 1 and tok = given.value ->> 2
  and nonce = given.value ->> 3 and grp is null and body_of is null

-- finish_many: As finish_plain, for claims [id, generation, token, nonce, result in hex] that are all current.
update task set state = 6, session = null, nonce = null, settled = tok, ended_us = ?2, progress = null, payload = null,
  result = case keep_us when 0 then null else given.result end, ignored = keep_us = 0,
  prune_us = case keep_us when 0 then ?2 + 60000000 when -1 then 1 << 62 else ?2 + keep_us end
from (select value ->> 0 as id, unhex(value ->> 4) as result from json_each(?1)) as given
where task.id = given.id

-- current_members: As current_claims, for like members of the group ?2.
select count(*) from json_each(?1) as given cross join task
where task.id = given.value ->> 0 and state = 3 and gen = given.value ->> 1 and tok = given.value ->> 2
  and nonce = given.value ->> 3 and kind = 1 and grp = ?2

-- members_finish: As member_finish, for claims [id, generation, token, nonce, result in hex] that are all current.
insert into grp_result (num, idx, state, gen, settled, started_us, ended_us, result)
select ?3, idx, 6, gen, tok, started_us, ?2, case keep_us when 0 then null else unhex(given.value ->> 4) end
from json_each(?1) as given cross join task where task.id = given.value ->> 0

-- members_leave: Like members that have ended give up their tasks.
delete from task where id in (select value ->> 0 from json_each(?1))

-- task_end: The terminal edge of a task that keeps its row.
update task set state = ?2, reason = ?3, result = ?4, payload = case ?2 when 7 then payload end, ended_us = ?5,
  prune_us = ?6, ignored = ?7, session = null, nonce = null, settled = ?8, failures = ?9, crashes = ?10, lost = ?11,
  releases = ?12, ran = ?13, revoked = ?14, due_us = null, progress = null, hold = null
where seq = ?1

-- task_place: Put an open task into the order, the delayed, the parked or the waiting ones.
update task set state = ?2, queue = ?3, priority = ?4, pos = ?5, due_us = ?6, expires_us = ?7, session = null,
  nonce = null, settled = ?8, failures = ?9, crashes = ?10, lost = ?11, releases = ?12, ran = ?13,
  hold = null
where seq = ?1

-- task_promote: A due task becomes ready.
update task set state = 2, pos = ?2, due_us = null where seq = ?1

-- task_run: Hand a task out.
update task set state = 3, session = ?1, nonce = ?2, tok = ?3, started_us = ?4, ran = 1, hold = null where seq = ?5

-- tasks_run: As task_run, for an array of [seq, token].
update task set state = 3, session = ?2, nonce = ?3, tok = given.tok, started_us = ?4, ran = 1
from (select value ->> 0 as seq, value ->> 1 as tok from json_each(?1)) as given where task.seq = given.seq

-- task_revive: Run an ended task again from the start.
update task set state = ?2, pos = ?3, gen = gen + 1, settled = 0, failures = 0, crashes = 0, lost = 0, releases = 0,
  ran = 0, revoked = 0, ignored = 0, reason = null, result = null, expires_us = null, started_us = 0, ended_us = 0,
  prune_us = null
where seq = ?1

-- task_rewait: A body waits for its group again.
update task set state = 4, gen = gen + ?2, settled = case ?2 when 1 then 0 else settled end,
  failures = case ?2 when 1 then 0 else failures end, crashes = case ?2 when 1 then 0 else crashes end,
  lost = case ?2 when 1 then 0 else lost end, releases = case ?2 when 1 then 0 else releases end,
  revoked = case ?2 when 1 then 0 else revoked end,
  due_us = null, expires_us = null, reason = null, result = null, ended_us = 0, prune_us = null, hold = null
where seq = ?1

-- task_new_payload: A retry brought a payload of its own.
update task set payload = ?2 where seq = ?1

-- task_note: Progress of a task.
update task set progress = ?2 where seq = ?1

-- task_mark_revoked: A running task is not to go back to wait.
update task set revoked = 1 where seq = ?1

-- task_bytes: Payload of a task.
select payload from task where seq = ?1

-- task_envelope: What a body's message said.
select envelope from task where seq = ?1

-- next_due: The earliest due time.
select min(due_us) from task where state = 1

-- line_last: The place of the last ready entry of a queue and priority; and, as pushes ask both, as ahead_any.
select max(pos), exists (select 1 from ahead) from task where state = 2 and hold is null and queue = ?1 and priority = ?2

-- line_first: The place of the first one.
select min(pos) from task where state = 2 and hold is null and queue = ?1 and priority = ?2

-- parked_last: The place of the last parked task of a name.
select max(pos) from task where state = 5 and name = ?1

-- queue_has_ready: Whether anything could be claimed from a queue.
select 1 from task t where t.state = 2 and t.hold is null and t.queue = ?1
  and not exists (select 1 from queue q where q.name = ?1 and q.paused) limit 1

-- ready_head: The first entries of a queue from priority ?3 to ?4, in order, as one array; plain ones are tasks in no
-- group that were never handed out and whose payload, in hex, is not large.
select json_group_array(json_array(
  seq, tok = 0 and gen = 1 and kind = 0 and grp is null and body_of is null and length(payload) <= 8192
    and after is null, id, name,
  case when length(payload) <= 8192 then hex(payload) end, priority, pushed_us, expires_us, keep_us))
from (select * from task where state = 2 and hold is null and queue = ?1 and priority between ?3 and ?4 order by priority, pos limit ?2)

-- members_run: Like members [place, token] get tasks of their own, in the session's hands.
insert into task (id, kind, state, queue, priority, name, tok, session, nonce, grp, idx, ran, expires_us, pushed_us,
  started_us, keep_us, max_crashes, max_lost, digest, follow)
select ?2 || '.' || (value ->> 0), 1, 3, ?3, ?4, ?5, value ->> 1, ?6, ?7, ?2, value ->> 0, 1, ?8, ?9, ?10, ?11, ?12,
  ?13, ?14, ?15
from json_each(?1)

-- member_dead: A like member that expired before it started is a dead letter.
insert into task (id, kind, state, queue, priority, name, grp, idx, expires_us, pushed_us, ended_us, prune_us, keep_us,
  max_crashes, max_lost, digest, reason, follow)
values (?, 1, 7, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- paused: Queues from which nothing is claimed.
select name from queue where paused

-- book_load: Last token, grace and counters.
select tok, reached_boot, grace_boot, stale, pruned, purged, rates, ahead from book

-- book_save: The same.
update book set tok = ?1, reached_boot = ?2, grace_boot = ?3, stale = ?4, pruned = ?5, purged = ?6,
  rates = ?7, ahead = ?8

-- purge_ready: Remove ready tasks of a queue that no group must hear of, up to the row ?2, ?3 at most.
delete from task where seq in (
  select seq from task where state = 2 and hold is null and queue = ?1 and kind = 0 and grp is null
    and body_of is null and follow < 2 and after is null and +seq <= ?2 limit ?3)
returning id

-- purge_scheduled: The same for scheduled ones.
delete from task where seq in (
  select seq from task where state = 1 and queue = ?1 and kind = 0 and grp is null
    and body_of is null and follow < 2 and after is null and +seq <= ?2 limit ?3)
returning id

-- last_row: The row of the newest task.
select max(seq) from task

-- task_vacate: A task gave its place to another: it is a seat from now on.
update task set state = 4, seat = 1, kind = 0, body_of = null, session = null, nonce = null, settled = ?2, failures = ?3,
  crashes = ?4, lost = ?5, releases = ?6, ran = 0, expires_us = null, payload = null, progress = null, envelope = null,
  after = null
where seq = ?1

-- task_fill: The message of a seat has come.
update task set state = ?2, queue = ?3, priority = ?4, pos = ?5, name = ?6, due_us = ?7, expires_us = ?8, pushed_us = ?9,
  keep_us = ?10, max_crashes = ?11, max_lost = ?12, digest = ?13, envelope = ?14, payload = ?15, follow = ?16, seat = 0,
  body_of = ?17, failures = 0, crashes = 0, lost = 0, releases = ?18
where seq = ?1

-- task_absorb: The message of a seat has come when the seat was over.
update task set digest = ?2, seat = 0 where seq = ?1

-- task_unseat: A seat gets its end from another task's.
update task set seat = 0 where seq = ?1

-- follow_over: A follow-up that has ended makes place for another.
delete from task where id = ?1 and state >= 6

-- follow_insert: What follows the end of a task that the store itself has ended.
insert into task (id, state, queue, priority, pos, name, pushed_us, keep_us, max_crashes, max_lost, digest, payload, after)
values (?1, 2, ?2, ?3, ?4, ?5, ?6, 0, 3, 10, ?7, ?8, ?9)
on conflict (id) do nothing

-- end_insert: A task that has ended without ever being there.
insert into task (id, state, queue, priority, name, pushed_us, ended_us, prune_us, ignored, keep_us, max_crashes, max_lost,
  reason, digest, result)
values (?1, ?2, ?3, 0, ?4, ?5, ?5, ?6, ?7, ?8, 3, 10, ?9, x'', ?10)

-- ahead_any: Whether any id was revoked without a task.
select exists (select 1 from ahead)

-- ahead_one: When an id was revoked without a task.
select id, at_us from ahead where id = ?1

-- ahead_many: The same for an array of ids.
select a.id, a.at_us from carray(?1) k cross join ahead a on a.id = k.value

-- ahead_between: Ids from ?1 up to, not including, ?2 that were revoked without tasks after ?3.
select id from ahead where id >= ?1 and id < ?2 and at_us > ?3

-- ahead_put: Remember an id.
insert into ahead (id, at_us) values (?1, ?2)

-- ahead_again: Remember it longer.
update ahead set at_us = ?2 where id = ?1

-- ahead_forget: Forget an id.
delete from ahead where id = ?1

-- ahead_old: Forget what was revoked at ?1 or before.
delete from ahead where at_us <= ?1

-- ahead_oldest: Forget the oldest ?1.
delete from ahead where id in (select id from ahead order by at_us limit ?1)

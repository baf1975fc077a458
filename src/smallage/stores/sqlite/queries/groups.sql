-- group_columns: What `rows.Group` is made of; a prefix for other queries.
select g.num, g.id, g.keep_us, g.opened_us, g.total, g.cursor, g.holes, g.done, g.failed, g.cancelled, g.running,
  g.retried, g.sealed, g.revoked, g.body, g.body_ended_us, g.changes, g.ended_us, g.prune_us, g.late, m.name,
  m.queue, m.priority, m.due_us, m.expires_us, m.keep_us, m.max_crashes, m.max_lost, m.digest, m.follow
from grp g left join template m on m.num = g.num

-- group_by_id: One group, after `group_columns`.
where g.id = ?1

-- groups_of_queue: Groups with unclaimed rows in a queue, after `group_columns`.
where m.queue = ?1 and g.cursor + g.holes < g.total - g.late

-- groups_gone: Groups whose life is over, after `group_columns`.
where g.prune_us <= ?1 limit ?2

-- group_insert: A new group.
insert into grp (id, keep_us, opened_us) values (?1, ?2, ?3)

-- group_save: A group's counters.
update grp set total = ?2, cursor = ?3, holes = ?4, done = ?5, failed = ?6, cancelled = ?7, running = ?8, retried = ?9,
  sealed = ?10, revoked = ?11, body = ?12, body_ended_us = ?13, changes = ?14, ended_us = ?15, prune_us = ?16,
  late = ?17
where num = ?1

-- group_delete: Remove a group with its template, rows and results.
delete from grp where num = ?1

-- group_tasks_delete: Remove the tasks that are members of a group, and its place in the order.
delete from task where grp = ?1 returning kind

-- group_open_tasks: How many members of a group have tasks that have not ended.
select count(*) from task where grp = ?1 and state < 6

-- template_insert: What the members share.
insert into template (num, name, queue, priority, due_us, expires_us, keep_us, max_crashes, max_lost, digest, payload,
  follow)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- template_payload: The shared payload.
select payload from template where num = ?1

-- template_due_over: The members' due time has come, whatever the clock says later.
update template set due_us = null where num = ?1

-- rows_load: A chunk of rows.
select rows from grp_row where num = ?1 and chunk = ?2

-- rows_save: A chunk of rows, new or grown.
insert into grp_row (num, chunk, rows) values (?1, ?2, ?3)
on conflict (num, chunk) do update set rows = excluded.rows

-- cursor_insert: A group takes its place in the order.
insert into task (kind, state, queue, priority, pos, name, grp, due_us, expires_us, pushed_us, keep_us, max_crashes,
  max_lost, digest)
values (2, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)

-- result_insert: The end of a like member.
insert into grp_result (num, idx, state, gen, settled, started_us, ended_us, reason, result)
values (?, ?, ?, ?, ?, ?, ?, ?, ?)

-- result_one: The end of one like member.
select state, gen, settled, started_us, ended_us, reason, result from grp_result where num = ?1 and idx = ?2

-- result_places: Places from ?2 up to, not including, ?3 whose members have ended without a task.
select idx from grp_result where num = ?1 and idx >= ?2 and idx < ?3

-- results_cancel: End the unclaimed like members from place ?2 on as cancelled at ?4.
insert into grp_result (num, idx, state, ended_us, reason)
with recursive place(i) as (select ?2 where ?2 < ?3 union all select i + 1 from place where i + 1 < ?3)
select ?1, i, 8, ?4, 'revoked' from place where true
on conflict do nothing

-- results_page: Ends of like members from place ?2 up to, not including, ?3.
select idx, state, result, reason from grp_result where num = ?1 and idx >= ?2 and idx < ?3

-- members_page: Members with tasks, from place ?2 up to, not including, ?3.
select idx, id, state, result, reason from task where grp = ?1 and idx >= ?2 and idx < ?3 order by idx

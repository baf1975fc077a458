-- view_columns: What a `TaskView` is made of, and the ends of the lives of the task and its group; a prefix.
select t.id, t.state, t.name, t.queue, t.priority, t.gen, t.tok, t.settled, t.reason, t.result, t.progress, s.name,
  t.failures, t.crashes, t.lost, t.releases, t.ran, t.grp, t.idx, t.due_us, t.expires_us, t.pushed_us, t.started_us,
  t.ended_us, t.ignored, t.prune_us, g.prune_us

-- view_one: One task, after `view_columns`.
from task t left join session s on s.sid = t.session left join grp g on g.id = t.grp where t.id = ?1

-- view_many: Tasks whose ids are in the array ?1, after `view_columns`.
from carray(?1) k cross join task t on t.id = k.value left join session s on s.sid = t.session
left join grp g on g.id = t.grp

-- find_from: Tasks in a state, after `view_columns`; followed by a condition and an order.
from task t left join session s on s.sid = t.session left join grp g on g.id = t.grp

-- find_scheduled: Scheduled tasks in order of due time.
where t.state = 1 and t.kind < 2 and (?2 is null or (t.due_us, t.queue, t.seq) >
  (select due_us, queue, seq from task where id = ?2)) order by t.due_us, t.queue, t.seq limit ?1

-- find_ready: Ready tasks in the order in which they are claimed, queue by queue.
where t.state = 2 and t.hold is null and t.kind <> 2 and (?2 is null or (t.queue, t.priority, t.pos) >
  (select queue, priority, pos from task where id = ?2)) order by t.queue, t.priority, t.pos limit ?1

-- find_held_back: Ready tasks that limits hold back, queue by queue.
where t.hold is not null and t.kind <> 2 and (?2 is null or (t.queue, t.priority, t.hold, t.pos) >
  (select queue, priority, hold, pos from task where id = ?2)) order by t.queue, t.priority, t.hold, t.pos limit ?1

-- held_back_of: Whether a limit holds a task back.
select 1 from task where id = ?1 and hold is not null

-- find_running: Running tasks, session by session.
where t.state = 3 and (?2 is null or (t.session, t.tok) > (select session, tok from task where id = ?2))
order by t.session, t.tok limit ?1

-- find_waiting: Bodies that wait for their groups.
where t.state = 4 and (?2 is null or (t.queue, t.seq) > (select queue, seq from task where id = ?2))
order by t.queue, t.seq limit ?1

-- find_parked: Parked tasks, name by name.
where t.state = 5 and (?2 is null or (t.name, t.pos) > (select name, pos from task where id = ?2))
order by t.name, t.pos limit ?1

-- find_ended: Done, dead or cancelled tasks whose life is not over at ?4, those first that go first.
where t.state >= 6 and t.state = ?3 and t.prune_us > ?4 and (g.prune_us is null or g.prune_us > ?4)
  and (?2 is null or (t.ignored, t.prune_us, t.seq) > (select ignored, prune_us, seq from task where id = ?2))
order by t.ignored, t.prune_us, t.seq limit ?1

-- known_id: Whether there is a task in a state.
select 1 from task where id = ?1 and state = ?2

-- cursor_due: When a group's unclaimed members are due, if they are scheduled.
select due_us from task where grp = ?1 and kind = 2 and state = 1

-- payload_kept: Kind, place and payload of a task.
select t.kind, t.grp, t.idx, t.payload, t.prune_us, g.prune_us, t.after from task t
left join grp g on g.id = t.grp where t.id = ?1

-- count_ready: Ready entries by queue, groups' places in the order included: the index alone answers.
select queue, count(*) from task where state = 2 and hold is null group by queue

-- count_held_back: Ready entries that a limit keeps out of the order, by queue.
select queue, count(*) from task where hold is not null group by queue

-- count_scheduled: Scheduled entries by queue, groups' places in the order included, without the rates'.
select queue, count(*) from task where state = 1 and queue <> '' group by queue

-- count_running: Running tasks by queue.
select queue, count(*) from task where state = 3 group by queue

-- count_waiting: Waiting bodies by queue.
select queue, count(*) from task where state = 4 group by queue

-- count_parked: Parked tasks by queue.
select queue, count(*) from task where state = 5 group by queue

-- count_unclaimed: Unclaimed like members by queue and state, less the entries that stand for them in the order.
select t.queue, t.state, sum(g.total - g.late - g.cursor - g.holes) - count(*) from task t join grp g on g.id = t.grp
where t.kind = 2 and t.grp is not null and g.cursor + g.holes < g.total - g.late group by t.queue, t.state

-- count_ended: Ended tasks by state, without those whose results are ignored.
select state, count(*) from task where state >= 6 and ignored = 0 group by state

-- count_members: Like members that ended without a task.
select state, count(*) from grp_result group by state

-- count_book: Counters of the whole store.
select stale, pruned, purged from book

-- integrity: What SQLite itself finds wrong.
pragma integrity_check(20)

-- audit_running: Running tasks whose session is not there, or whose token was never issued.
select t.id, 'runs in a session that does not exist' from task t left join session s on s.sid = t.session
where t.state = 3 and s.sid is null
union all
select id, 'has a token above the last issued one' from task where tok > (select tok from book)
union all
select id, 'was settled under a token that it never had' from task where settled > tok

-- audit_tokens: Tokens that two tasks share.
select tok, count(*) from task where tok > 0 and state = 3 group by tok having count(*) > 1

-- audit_payloads: Open tasks without a payload to run with.
select t.id from task t left join grp g on g.id = t.grp left join template m on m.num = g.num
where t.state < 6 and t.kind < 2 and t.payload is null and t.seat = 0 and (t.kind = 0 or m.num is null)

-- audit_order: Entries that share a place in the order.
select queue, priority, pos from task where state = 2 group by hold, queue, priority, pos having count(*) > 1

-- audit_cursors: Groups whose place in the order disagrees with their unclaimed rows.
select g.id, g.total - g.late - g.cursor - g.holes, (select count(*) from task t where t.grp = g.id and t.kind = 2)
from grp g join template m on m.num = g.num
where (select count(*) from task t where t.grp = g.id and t.kind = 2) <> (g.cursor + g.holes < g.total - g.late)
union all
select coalesce(t.grp, ''), 0, 1 from task t left join grp g on g.id = t.grp where t.kind = 2 and g.num is null

-- audit_holes: Groups whose holes past the cursor are miscounted.
select g.id, g.holes, (select count(*) from grp_result r where r.num = g.num and r.idx >= g.cursor) as n
from grp g join template m on m.num = g.num where g.holes <> n

-- audit_groups: Counters of groups, whose life is not over at ?1, beside what their members add up to.
select g.id, g.total, g.done, g.failed, g.cancelled, g.running, g.sealed, g.ended_us,
  (select count(*) from task t where t.grp = g.id and t.state = 6)
    + (select count(*) from grp_result r where r.num = g.num and r.state = 6),
  (select count(*) from task t where t.grp = g.id and t.state = 7),
  (select count(*) from task t where t.grp = g.id and t.state = 8)
    + (select count(*) from grp_result r where r.num = g.num and r.state = 8),
  (select count(*) from task t where t.grp = g.id and t.state = 3)
from grp g where g.prune_us is null or g.prune_us > ?1

-- audit_rows: Like groups, and how many rows they keep.
select g.id, g.num, g.total - g.late from grp g join template m on m.num = g.num

-- audit_doubled: Like members that have both a task and an end.
select t.id from task t join grp g on g.id = t.grp join grp_result r on r.num = g.num and r.idx = t.idx where t.kind = 1

-- audit_chunks: A group's chunks.
select rows from grp_row where num = ?1 order by chunk

-- audit_held_back: Limits that hold something back and are not there, or come due and hold nothing back or are others.
select t.hold, 'holds entries back and is no limit' from task t left join rate r on r.key = t.hold
where t.hold is not null and r.key is null group by t.hold
union all
select t.name, 'comes due and is no limit or another' from task t left join rate r on r.entry = t.seq
where t.kind = 3 and r.key is not t.name
union all
select r.key, 'comes due and has no place among the scheduled' from rate r left join task t on t.seq = r.entry
where r.entry is not null and t.kind is not 3
union all
select key, 'comes due and holds nothing back' from rate r
where entry is not null and not exists (select 1 from task t where t.hold = r.key)
union all
select key, 'is nothing and is remembered' from rate r
where tokens is null and own_tokens is null and not exists (select 1 from task t where t.hold = r.key)

-- audit_noted: What the book counts of limits and of ids revoked ahead, and what there is.
select rates, (select count(*) from rate), ahead, (select count(*) from ahead) from book

-- audit_bodies: Bodies that wait for a group that has ended, or that is not there.
select t.id from task t left join grp g on g.id = t.body_of where t.state = 4 and t.seat = 0 and (g.num is null or g.ended_us > 0)

-- rate_load: A key's limits, its token time, its place among the scheduled, and when it comes due.
select key, tokens, per_us, burst, own_tokens, own_per_us, own_burst, tat, entry,
  (select due_us from task where seq = entry)
from rate where key = ?1

-- rates_all: The same of all keys.
select key, tokens, per_us, burst, own_tokens, own_per_us, own_burst, tat, entry, null from rate order by key

-- rate_new: A key that had no limits.
insert into rate (key) values (?1)

-- rate_limits: A key's limits.
update rate set tokens = ?2, per_us = ?3, burst = ?4, own_tokens = ?5, own_per_us = ?6, own_burst = ?7 where key = ?1

-- rate_save: A key's token time, and its place among the scheduled.
update rate set tat = ?2, entry = ?3 where key = ?1

-- rate_delete: A key without limits.
delete from rate where key = ?1

-- rate_entry_insert: A key takes a place among the scheduled tasks.
insert into task (kind, state, queue, priority, name, due_us, pushed_us, keep_us, max_crashes, max_lost, digest)
values (3, 1, '', 0, ?1, ?2, ?3, 0, 0, 0, x'') returning seq

-- rate_entry_due: It comes due at another time.
update task set due_us = ?2 where seq = ?1

-- held_back_any: Whether a key holds anything back.
select 1 from task where hold = ?1 limit 1

-- held_back_count: How many entries a key holds back.
select count(*) from task where hold = ?1

-- held_back_last: The place of the last entry of a queue and priority that a key holds back.
select max(pos) from task where hold is not null and queue = ?1 and priority = ?2 and hold = ?3

-- held_back_first: The first entry of a queue and priority that a key holds back, after `task_columns`.
from task t where t.hold is not null and t.queue = ?1 and t.priority = ?2 and t.hold = ?3 order by t.pos limit 1

-- held_back_line: The first priority and key, after the priority ?2 and the key ?3, with something held back in a queue.
select * from (select priority, hold from task
  where hold is not null and queue = ?1 and priority = ?2 and hold > ?3 order by hold limit 1)
union all
select * from (select priority, hold from task
  where hold is not null and queue = ?1 and priority > ?2 order by priority, hold limit 1)
limit 1

-- line_of_key: The first queue and priority, after the queue ?2 and the priority ?3, where a key holds something back.
select * from (select queue, priority from task
  where hold = ?1 and queue = ?2 and priority > ?3 order by priority limit 1)
union all
select * from (select queue, priority from task where hold = ?1 and queue > ?2 order by queue, priority limit 1)
limit 1

-- line_of_key_count: How many entries a key holds back in a queue and priority.
select count(*) from task where hold = ?1 and queue = ?2 and priority = ?3

-- hold_back: Ready entries [seq, place] leave the order.
update task set hold = ?2, pos = given.pos
from (select value ->> 0 as seq, value ->> 1 as pos from json_each(?1)) as given where task.seq = given.seq

-- let_go_queue: All that is held back in a queue returns to the order, behind what is ready.
update task set hold = null, pos = given.pos
from (select t.seq as row, row_number() over (partition by t.priority order by t.hold, t.pos) + coalesce(
    (select max(r.pos) from task r where r.state = 2 and r.hold is null and r.queue = ?1 and r.priority = t.priority), 0)
    as pos
  from task t where t.hold is not null and t.queue = ?1) as given
where task.seq = given.row

-- schedule_load: A schedule, removed ones included.
select name, spec, source, paused, since_us, last_us, fired, removed_us from schedule where name = ?1

-- schedules_all: The schedules there are, by name.
select name, spec, source, paused, since_us, last_us, fired from schedule where removed_us is null order by name

-- schedule_save: A schedule, new or changed.
insert into schedule (name, spec, source, paused, since_us, last_us, fired, removed_us)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
on conflict (name) do update set spec = excluded.spec, source = excluded.source, paused = excluded.paused,
  since_us = excluded.since_us, last_us = excluded.last_us, fired = excluded.fired, removed_us = excluded.removed_us

-- schedules_old: Forget schedules that were removed at ?1 or before.
delete from schedule where removed_us <= ?1

-- answer_put: What a node answers.
insert into answer (ticket, node, data, at_us) values (?1, ?2, ?3, ?4)
on conflict (ticket, node) do update set data = excluded.data, at_us = excluded.at_us

-- answers_of: What nodes answered under a ticket, if the latest answer came after ?2.
select node, data from answer
where ticket = ?1 and (select max(at_us) from answer where ticket = ?1) > ?2 order by node

-- answers_over: Forget the answers of a ticket if the latest came at ?2 or before.
delete from answer where ticket = ?1 and (select max(at_us) from answer where ticket = ?1) <= ?2

-- answers_old: Forget what was answered at ?1 or before.
delete from answer as old where at_us <= ?1
  and not exists (select 1 from answer as new where new.ticket = old.ticket and new.at_us > ?1)

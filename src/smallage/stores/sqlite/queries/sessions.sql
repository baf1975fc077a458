-- session_by_name: A session's number, last nonce and mailbox.
select sid, nonce, inbox from session where name = ?1

-- session_name_of: A session's name and mailbox, by number.
select name, inbox from session where sid = ?1

-- session_save: Start or update a session.
insert into session (name, lease_us, lease_end_boot, boot_id, inbox) values (?1, ?2, ?3, ?4, ?5)
on conflict (name) do update set lease_us = excluded.lease_us, lease_end_boot = excluded.lease_end_boot,
  boot_id = excluded.boot_id, inbox = excluded.inbox
returning sid

-- session_inform: Keep what a session announced.
insert into session_info (sid, info) values (?1, ?2) on conflict (sid) do update set info = excluded.info

-- session_nonce: Remember the nonce of a session's last claim.
update session set nonce = ?2 where sid = ?1

-- session_renew: Prolong a lease; never shorten it.
update session set lease_end_boot = max(lease_end_boot, ?2 + lease_us) where name = ?1 and boot_id = ?3 returning sid

-- session_delete: A session is over.
delete from session where sid = ?1

-- session_longest_lease: The longest lease there is.
select max(lease_us) from session

-- session_cut: The clock went back: no lease ends further than one lease ahead.
update session set lease_end_boot = min(lease_end_boot, ?1 + lease_us)

-- sessions_all: Every session with what it announced and how much it holds.
select s.name, i.info, s.lease_end_boot, s.boot_id,
  (select count(*) from task t where t.state = 3 and t.session = s.sid)
from session s join session_info i on i.sid = s.sid order by s.name

-- sessions_judged: Every session, for finding the lost ones.
select sid, name, lease_end_boot, boot_id from session order by sid

-- session_names_clear: Forget the task names of a session.
delete from session_name where sid = ?1

-- session_names_add: A task name that a session knows.
insert or ignore into session_name (sid, name) values (?1, ?2)

-- name_known: Whether a live session knows a task name.
select 1 from session_name where name = ?1 limit 1

-- held_by: What a session holds, in order of tokens.
select t.id, t.gen, t.tok, t.nonce from task t join session s on s.sid = t.session
where t.state = 3 and s.name = ?1 order by t.tok

-- inbox_put: An order for a session.
insert into inbox (box, session, kind, id, tok, text) values (?1, ?2, ?3, ?4, ?5, ?6)

-- inbox_peek: Whether a mailbox has orders.
select 1 from inbox where box = ?1 limit 1

-- inbox_take: The orders of a mailbox, which are removed.
delete from inbox where box = ?1 returning seq, session, kind, id, tok, text

-- inbox_clear: Drop the orders of mailboxes whose last session is over.
delete from inbox where box not in (select inbox from session)

-- queue_pause: Pause or resume a queue.
insert into queue (name, paused) values (?1, ?2) on conflict (name) do update set paused = excluded.paused

-- prune_ended: Remove ended tasks whose life is over.
delete from task where seq in (
  select seq from task where state >= 6 and state in (6, 7, 8) and ignored in (0, 1) and prune_us <= ?1 limit ?2)

-- tombstones_over: Tombstones in a state beyond the newest ?1.
select seq from task where state >= 6 and state = ?3 and ignored = 1 order by prune_us desc limit ?2 offset ?1

-- tasks_insert: New tasks [id, digest, payload] with one envelope, in order from the place ?5 on; digest and payload are
-- in hex. None is written if an id is taken.
insert into task (id, state, queue, priority, pos, name, due_us, expires_us, pushed_us, keep_us, max_crashes, max_lost,
  follow, digest, payload)
select value ->> 0, ?2, ?3, ?4, ?5 + key, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, unhex(value ->> 1), unhex(value ->> 2)
from json_each(?1)

--#include reopening
-- New records. A run is: count, name, queue, priority, delay, due, expires in, expires, keep, budgets, marks, group, then
-- count times id, payload, digest and, with a group, the place in it. Empty is none. Marks: follow, and 4 for seats.
local function read_run()
  local run = { n = number(), name = arg(), queue = arg(), priority = arg(), delay = tonumber(arg()),
    due = tonumber(arg()), expires_in = tonumber(arg()), expires = tonumber(arg()), keep = maybe(), budgets = maybe(),
    marks = tonumber(arg()) or 0, group = maybe(), first = at + 1 }
  run.width = run.group and 4 or 3
  run.waits = run.marks >= 4
  at = at + run.n * run.width
  return run
end

-- True for a task that never ran because an earlier one failed: whoever repeats that one may bring it anew.
local function never_came(r)
  if r.state ~= '5' then return false end
  return r.f.c == 'upstream' or r.f.c == 'expired' and not r.f.p and not has(r, P_OUT)
end
-- What a message with this id would do now, as a letter: o it is new, f(ills) a seat or the place of a member that never
-- came, k comes to a seat that a revoke cancelled, a was revoked before it came; d(up), c(onflict). Second: the record
-- that is there; with o and a, one that is over and stands in the way. `pushed`: the seat's own digest repeats what made
-- the seat.
local function verdict(id, digest, waits, pushed)
  local r, ahead = load(id)
  if r and not r.like and not gone(r) then
    local g = r.f.g
    local makes_room = g ~= digest and never_came(r)
    if makes_room and r.group then
      if not waits and not r.f.j then return 'f', r end
      makes_room = false
    end
    if not makes_room then
      if waits then return 'd', r end
      if has(r, SEAT) and not (pushed and g == digest) then
        if r.state == '2' then return 'f', r end
        if r.state == '6' then return 'k', r end
      end
      return g == digest and 'd' or 'c', r
    end
  end
  local raw, index = place_of(id)
  if raw then
    local G = living(raw)
    if G and not G.U and index < G.rows then return 'c' end
  end
  if ahead then
    r = { id = id, ahead = true }
  elseif raw or r and has(r, COMES_BACK) then
    ahead = tonumber(call('ZSCORE', P .. 'ra', id) or nil)
  end
  return ahead and ahead + AHEAD > now and 'a' or 'o', r
end

-- Looks at the messages of a run before anything is written: run.letters, and run.old as `verdict` gives it. `digests`:
-- what else this call brings, by id. True if one is a conflict.
local function look(run, digests, pushed)
  local bad = false
  run.letters, run.old = {}, {}
  for i = 1, run.n do
    local base = run.first + (i - 1) * run.width
    local id, digest = ARGV[base], ARGV[base + 2]
    local how, old = verdict(id, digest, run.waits, pushed)
    if digests[id] then
      if how ~= 'd' and how ~= 'c' then how = digests[id] == digest and 'd' or 'c' end
    else
      digests[id] = digest
    end
    if how == 'c' then bad = true end
    run.letters[i], run.old[i] = how, old
  end
  return bad
end

-- Writes the fields that all of a run share, once.
local function prepare(run)
  run.q = queue_number(run.queue)
  run.number = intern('n', run.name)
  local due, expires
  if not run.waits then due, expires = times(run.delay, run.due, run.expires_in, run.expires) end
  run.due_at = due and due > now and due or nil
  run.expires_at = expires
  run.flags = ((expires or run.group) and MORE or 0) + (run.marks % 4) * FOLLOWS
  local head = { 'n', run.number, 'a', now_text }
  if run.q ~= '0' then head[#head + 1] = 'q' head[#head + 1] = run.q end
  if run.priority ~= '0' then head[#head + 1] = 'r' head[#head + 1] = run.priority end
  if expires then head[#head + 1] = 'x' head[#head + 1] = expires end
  if run.keep then head[#head + 1] = 't' head[#head + 1] = run.keep end
  if run.budgets then head[#head + 1] = 'm' head[#head + 1] = run.budgets end
  if run.due_at then head[#head + 1] = 's' head[#head + 1] = '1' end
  if run.waits then
    run.flags = run.flags + SEAT
    head[#head + 1] = 's' head[#head + 1] = '2'
  end
  run.head = head
end

-- Writes one record, a seat without its payload. Returns its id.
local function write_record(run, i)
  local base = run.first + (i - 1) * run.width
  local id, payload = ARGV[base], ARGV[base + 1]
  local key = P .. 't:' .. id
  if run.waits then
    call('HSET', key, 'f', run.flags, 'g', ARGV[base + 2], unpack(run.head))
  elseif #payload > INLINE then
    call('SET', P .. 'p:' .. id, payload)
    call('HSET', key, 'f', P_OUT + run.flags, 'g', ARGV[base + 2], unpack(run.head))
  elseif run.flags ~= 0 then
    call('HSET', key, 'f', run.flags, 'p', payload, 'g', ARGV[base + 2], unpack(run.head))
  else
    call('HSET', key, 'p', payload, 'g', ARGV[base + 2], unpack(run.head))
  end
  if run.group then call('HSET', key, 'i', run.group .. (run.places and run.places[i] or ARGV[base + 3])) end
  return id
end

-- A message comes to a seat, or to a member that was ended before it came: the record becomes the message's, but for
-- its place in a group and its deliveries. As the body of a group it goes on standing in no order.
local function fill(run, i, r, body)
  local base = run.first + (i - 1) * run.width
  if r.state == '5' then start_anew(r) else unplace(r) end
  local v = counts_of(r)
  local runs = v[1] + v[2] + v[3] + v[4]
  put(r, 'v', runs > 0 and '0 0 0 ' .. int(runs) or nil)
  put_bytes(r, 'p', ARGV[base + 1])
  put(r, 'g', ARGV[base + 2])
  put(r, 'n', run.number)
  put(r, 'a', now_text)
  put(r, 'q', run.q ~= '0' and run.q or nil)
  put(r, 'r', run.priority ~= '0' and run.priority or nil)
  put(r, 't', run.keep)
  put(r, 'm', run.budgets)
  put(r, 'x', not body and run.expires_at and int(run.expires_at) or nil)
  put(r, 's', body and '2' or run.due_at and '1' or nil)
  r.flags = r.flags - math.floor(r.flags / FOLLOWS) % 4 * FOLLOWS + run.marks % 4 * FOLLOWS
  r.reflag = true
  flag(r, SEAT, false)
  save(r)
end
-- A message comes to a seat that was cancelled: it has ended as the seat did.
local function come_late(run, i, r)
  local base = run.first + (i - 1) * run.width
  put(r, 'g', ARGV[base + 2])
  flag(r, SEAT, false)
  save(r)
  if run.marks % 4 == 2 then
    follow_up({ id = r.id, f = { p = ARGV[base + 1] }, flags = 0, gen = r.gen, name = run.number, q = run.q,
      prio = run.priority }, r.f.c)
  end
end

-- Puts new records into their order: one command for a whole run.
local function place_run(run, ids)
  if run.waits then
    for _, id in ipairs(ids) do call('ZADD', P .. 'w', now, id) end
    count(run.q, 'w', #ids)
  elseif run.due_at then
    for _, id in ipairs(ids) do delay(id, run.due_at, run.queue) end
    count(run.q, 's', #ids)
  else
    call('RPUSH', line(run.queue, run.priority), unpack(ids))
    mark(run.queue, run.priority)
    ring(run.queue, #ids)
    count(run.q, 'r', #ids)
  end
end

-- Writes one message as its letter says. Returns the id if it is to be put into order.
local function accept(run, i)
  local how, old = run.letters[i], run.old[i]
  if how == 'o' or how == 'a' then
    if old then remove(old) end
    if how == 'a' then forget_ahead(ARGV[run.first + (i - 1) * run.width]) end
    local id = write_record(run, i)
    if how == 'o' then return id end
    local r = load(id)
    flag(r, COMES_BACK, true)
    end_by_store(r, '6', 'revoked', nil)
    write(r)
  elseif how == 'f' then
    fill(run, i, old)
    return old.id
  elseif how == 'k' then
    come_late(run, i, old)
  end
end
-- Writes a run that was looked at (or none of whose ids is known: no letters).
local function write_run(run)
  prepare(run)
  local ids = {}
  if run.letters then
    for i = 1, run.n do ids[#ids + 1] = accept(run, i) end
  else
    for i = 1, run.n do ids[i] = write_record(run, i) end
  end
  if ids[1] then place_run(run, ids) end
  return ids
end

--#scope

--#include moves
-- New records. A run is: count, name, queue, priority, delay, due, expires in, expires, keep, budgets, group, then count
-- times id, payload, digest and, with a group, the place in it. Empty is none.
local function read_run()
  local run = { n = number(), name = arg(), queue = arg(), priority = arg(), delay = tonumber(arg()),
    due = tonumber(arg()), expires_in = tonumber(arg()), expires = tonumber(arg()), keep = maybe(), budgets = maybe(),
    group = maybe(), first = at + 1 }
  run.width = run.group and 4 or 3
  at = at + run.n * run.width
  return run
end

-- ok, dup or conflict for pushing this id now, as letters; second: a record past its life stands in the way.
local function verdict(id, digest)
  local r = load(id)
  if r and not r.like and not gone(r) then return r.f.g == digest and 'd' or 'c' end
  local raw, index = place_of(id)
  local G = raw and living(raw)
  if G and not G.U and index < G.T then return 'c' end
  return 'o', r
end

-- Writes the fields that all of a run share, once.
local function prepare(run)
  run.q = queue_number(run.queue)
  run.number = intern('n', run.name)
  local due, expires = times(run.delay, run.due, run.expires_in, run.expires)
  run.due_at = due and due > now and due or nil
  run.expires_at = expires
  run.flags = (expires or run.group) and MORE or 0
  local head = { 'n', run.number, 'a', now_text }
  if run.q ~= '0' then head[#head + 1] = 'q' head[#head + 1] = run.q end
  if run.priority ~= '0' then head[#head + 1] = 'r' head[#head + 1] = run.priority end
  if expires then head[#head + 1] = 'x' head[#head + 1] = expires end
  if run.keep then head[#head + 1] = 't' head[#head + 1] = run.keep end
  if run.budgets then head[#head + 1] = 'm' head[#head + 1] = run.budgets end
  if run.due_at then head[#head + 1] = 's' head[#head + 1] = '1' end
  run.head = head
end

-- Writes one record. `state` waiting: it stands in no order. Returns its id.
local function write_record(run, i, waiting)
  local base = run.first + (i - 1) * run.width
  local id, payload = ARGV[base], ARGV[base + 1]
  local key = P .. 't:' .. id
  if #payload > INLINE then
    call('SET', P .. 'p:' .. id, payload)
    call('HSET', key, 'f', P_OUT + run.flags, 'g', ARGV[base + 2], unpack(run.head))
  elseif run.flags ~= 0 then
    call('HSET', key, 'f', run.flags, 'p', payload, 'g', ARGV[base + 2], unpack(run.head))
  else
    call('HSET', key, 'p', payload, 'g', ARGV[base + 2], unpack(run.head))
  end
  if run.group then call('HSET', key, 'i', run.group .. ARGV[base + 3]) end
  if waiting then call('HSET', key, 's', '2') end
  return id
end

-- Puts new records into their order: one command for a whole run.
local function place_run(run, ids)
  if run.due_at then
    for _, id in ipairs(ids) do delay(id, run.due_at, run.queue) end
    count(run.q, 's', #ids)
  else
    call('RPUSH', line(run.queue, run.priority), unpack(ids))
    mark(run.queue, run.priority)
    ring(run.queue, #ids)
    count(run.q, 'r', #ids)
  end
end

-- Messages that follow a settled task: those that are new are pushed, the others change nothing.
local function push_then()
  for _ = 1, number() do
    local run = read_run()
    local ids = {}
    prepare(run)
    for i = 1, run.n do
      local base = run.first + (i - 1) * run.width
      local how, old = verdict(ARGV[base], ARGV[base + 2])
      if how == 'o' then
        if old then remove(old) end
        ids[#ids + 1] = write_record(run, i)
      end
    end
    if ids[1] then place_run(run, ids) end
  end
end
--#scope

-- Opens, fills or seals a group. In: known epoch, raw id, keep, offset, then
-- template: 1, name, queue, priority, delay, due, expires in, expires, keep, budgets, digest, payload; or 0
-- rows: how many, rows · members: number of runs, runs · seal: 1 or 0 · body: 1, a run of one; or 0.
-- Keys: g:<id>, g:<id>:a:<chunk> (rows or members' ids), those of push. Answer: {o d or c, epoch if not the known one}.
--#include epoch
--#include insert
--#include pruning
local epoch = check_epoch()
if not epoch then return false end
local raw, keep, offset = arg(), maybe(), number()
local T
if arg() == '1' then
  T = { name = arg(), queue = arg(), priority = arg(), delay = tonumber(arg()), due = tonumber(arg()),
    expires_in = tonumber(arg()), expires = tonumber(arg()), keep = maybe(), budgets = maybe(), digest = arg(),
    payload = arg() }
end
local n_rows = number()
local first_row = at + 1
at = at + n_rows
local runs, n_members = {}, 0
for i = 1, number() do
  runs[i] = read_run()
  n_members = n_members + runs[i].n
end
local seal = arg() == '1'
local body = arg() == '1' and read_run() or nil
local body_id = body and ARGV[body.first]

-- Looking, before the first write.
local G = group(raw)
local stale = G and group_gone(G) and G
if stale then G = false end
local added = n_rows + n_members
local total_so_far = G and G.T or 0
local dup_places = added == 0 or offset + added <= total_so_far
local dup_seal = not seal or (G and G.z and (not body or body_id == G.b)) or false
local bad = (T and G and G.g and G.g ~= T.digest)
    or (n_rows > 0 and ((G and G.U) or (not T and not (G and G.g))))
    or (n_members > 0 and (n_rows > 0 or (G and G.g)))
    or (not dup_places and ((G and G.z) or offset ~= total_so_far))
    or (G and G.z and not dup_seal)
local digests = {}
local function look(run)
  run.letters, run.old = {}, {}
  for i = 1, run.n do
    local base = run.first + (i - 1) * run.width
    local id, digest = ARGV[base], ARGV[base + 2]
    local how, over = verdict(id, digest)
    if digests[id] then
      over = nil
      if how == 'o' then how = digests[id] == digest and 'd' or 'c' end
    else
      digests[id] = digest
    end
    if how == 'c' then bad = true end
    if how == 'd' and run.group and run ~= body then
      -- A task of this id that is no such member of the group: it would never be counted.
      local r = load(id)
      if r and r.f.i ~= run.group .. ARGV[base + 3] then bad = true end
    end
    run.letters[i], run.old[i] = how, over
  end
end
if not bad then
  for _, run in ipairs(runs) do look(run) end
  if body then look(body) end
end
if bad then return { 'c', epoch } end
if G and dup_places and dup_seal then return { 'd', epoch } end

-- Writing. The first write grows memory, so that a full server refuses the whole.
local key = P .. 'g:' .. raw
if stale then
  call('SET', P .. '-', '1')
  call('UNLINK', P .. '-')
  remove_group(stale)
  left = math.huge
  sweep()
  groups[raw] = nil
end
if not G then
  call('HSET', key, 'a', now)
  if keep then call('HSET', key, 'K', keep) end
  groups[raw] = nil
  G = group(raw)
end

local function write_run(run)
  prepare(run)
  local ids = {}
  for i = 1, run.n do
    if run.old[i] then remove(run.old[i]) end
    if run.letters[i] == 'o' then ids[#ids + 1] = write_record(run, i) end
  end
  if ids[1] then place_run(run, ids) end
  return ids
end

local function open_like()
  local due, expires = times(T.delay, T.due, T.expires_in, T.expires)
  G.n, G.q, G.r, G.g = intern('n', T.name), queue_number(T.queue), T.priority, T.digest
  G.d = due and due > now and int(due) or nil
  G.x, G.t, G.m = expires and int(expires), T.keep, T.budgets
  local fields = { 'n', G.n, 'q', G.q, 'r', G.r, 'g', G.g, 'p', T.payload }
  for _, field in ipairs({ 'd', 'x', 't', 'm' }) do
    if G[field] then
      fields[#fields + 1] = field
      fields[#fields + 1] = G[field]
    end
  end
  call('HSET', key, unpack(fields))
end

local function place_cursor()
  local queue = text_of('q', G.q)
  local due = tonumber(G.d)
  if G.P or (due and due > now) then
    if not G.P then
      delay('g' .. raw, due, queue)
      call('HSET', key, 'P', '1')
    end
    count(G.q, 's', n_rows)
    return
  end
  if due then call('HDEL', key, 'd') end
  count(G.q, 'r', n_rows)
  if G.listed then ring(queue, n_rows) else enqueue('g' .. raw, queue, G.r, false, n_rows) end
end

if not dup_places and n_rows > 0 then
  if not G.g then open_like() end
  G.listed = G.c < G.T and not G.P
  local i = 0
  while i < n_rows do
    local place = G.T + i
    local room = math.min(128 - place % 128, n_rows - i)
    call('RPUSH', chunk(G, 'a', place), unpack(ARGV, first_row + i, first_row + i + room - 1))
    i = i + room
  end
  G.T = G.T + n_rows
  call('HSET', key, 'T', G.T)
  if G.v then
    call('HSET', key, 'V', (G.V or '') .. int(G.c) .. ' ' .. int(G.T) .. ' ' .. int(now) .. ';')
    G.c, G.C = G.T, G.C + n_rows
    tell_all(raw)
    total('cancelled', n_rows)
  else
    place_cursor()
  end
elseif not dup_places then
  for _, run in ipairs(runs) do
    for i = 1, run.n do
      local base = run.first + (i - 1) * run.width
      call('HSET', chunk(G, 'a', tonumber(ARGV[base + 3])), ARGV[base + 3], ARGV[base])
    end
  end
  G.T = G.T + n_members
  call('HSET', key, 'T', G.T, 'U', '1')
  call('SADD', P .. 'gu', raw)
  G.U = '1'
  for _, run in ipairs(runs) do
    local ids = write_run(run)
    if G.v then
      for _, id in ipairs(ids) do
        local r = load(id)
        unplace(r)
        finish(r, '6', 'revoked', nil)
        write(r)
      end
    end
  end
end

if seal and not G.z then
  G.z = '1'
  call('HSET', key, 'z', '1')
  if body then
    G.b = body_id
    local wait = {}
    for i, value in ipairs({ body.delay or '-', body.due or '-', body.expires_in or '-', body.expires or '-' }) do
      wait[i] = tonumber(value) and int(value) or '-'
    end
    G.h = table.concat(wait, ' ')
    call('HSET', key, 'b', body_id, 'h', G.h)
    if body.letters[1] == 'o' then
      if body.old[1] then remove(body.old[1]) end
      prepare(body)
      local id = write_record(body, 1, true)
      local r = load(id)
      put(r, 'j', raw)
      put(r, 'x', nil)
      save(r)
      call('ZADD', P .. 'w', now, id)
      count(body.q, 'w', 1)
    end
  end
end
touch(G)
finish_if_ended(G)
save_groups()
close_books()
return { 'o', epoch }

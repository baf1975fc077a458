-- Opens, fills or seals a group. In: known epoch, raw id, keep, offset, 1 if the members come late, then
-- template: 1, name, queue, priority, delay, due, expires in, expires, keep, budgets, marks, digest, payload; or 0
-- rows: how many, rows · members: number of runs, runs · seal: 1 or 0 · body: 1, a run of one; or 0 · what comes along:
-- number of runs, runs.
-- Keys: g:<id>, g:<id>:a:<chunk> (rows or members' ids), those of push. Answer: {o d or c, epoch if not the known one}.
--#include epoch
--#include then
--#include revoking
--#include pruning
local epoch = check_epoch()
if not epoch then return false end
local raw, keep, offset, late = arg(), maybe(), number(), arg() == '1'
local T
if arg() == '1' then
  T = { name = arg(), queue = arg(), priority = arg(), delay = tonumber(arg()), due = tonumber(arg()),
    expires_in = tonumber(arg()), expires = tonumber(arg()), keep = maybe(), budgets = maybe(),
    follow = (tonumber(arg()) or 0) % 4, digest = arg(), payload = arg() }
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
local dup_places = added == 0 or (not late and offset + added <= total_so_far)
local dup_seal = not seal or (G and G.z and (not body or body_id == G.b)) or false
local bad
if late then
  bad = not G or not G.z or G.e ~= 0
else
  bad = (T and G and G.g and G.g ~= T.digest)
      or (n_rows > 0 and ((G and G.U) or (not T and not (G and G.g))))
      or (n_members > 0 and (n_rows > 0 or (G and G.g)))
      or (not dup_places and ((G and G.z) or offset ~= total_so_far))
      or (G and G.z and not dup_seal)
end
local digests = {}
-- A member's id that belongs to a task which is no such member of the group would never be counted.
local function foreign(run, i, old)
  local i_field = old.f and old.f.i
  if late then return not i_field or string.sub(i_field, 1, 16) ~= raw end
  return i_field ~= run.group .. ARGV[run.first + (i - 1) * run.width + 3]
end
local function bad_member(run)
  look(run, digests)
  for i = 1, run.n do
    local how, old = run.letters[i], run.old[i]
    if how ~= 'o' and how ~= 'a' and old then
      if foreign(run, i, old) then return true end
      if late or dup_places then run.letters[i] = 'd' end
    elseif late and how == 'c' and place_of(ARGV[run.first + (i - 1) * run.width]) == raw then
      run.letters[i] = 'd' -- one of its rows
    end
    if run.letters[i] == 'c' then return true end
  end
  return false
end
for _, run in ipairs(runs) do bad = bad or bad_member(run) end
bad = bad or body and not dup_seal and look(body, digests)
if bad then return { 'c', epoch } end
if late then
  dup_places = true
  for _, run in ipairs(runs) do
    for i = 1, run.n do dup_places = dup_places and run.letters[i] == 'd' end
  end
end
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
  if T.follow ~= 0 then
    G.f = T.follow
    fields[#fields + 1] = 'f'
    fields[#fields + 1] = G.f
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
      G.P = '1'
    end
    count(G.q, 's', n_rows)
    return
  end
  if due then call('HDEL', key, 'd') end
  count(G.q, 'r', n_rows)
  if G.listed then ring(queue, n_rows) else enqueue('g' .. raw, queue, G.r, false, n_rows) end
end

local function add_rows()
  if not G.g then open_like() end
  G.listed = G.c < G.rows and not G.P
  local i = 0
  while i < n_rows do
    local place = G.rows + i
    local room = math.min(128 - place % 128, n_rows - i)
    call('RPUSH', chunk(G, 'a', place), unpack(ARGV, first_row + i, first_row + i + room - 1))
    i = i + room
  end
  local first = G.rows
  G.T, G.rows = G.T + n_rows, G.rows + n_rows
  call('HSET', key, 'T', G.T)
  place_cursor()
  if G.v then
    cancel_rows(G)
  else
    cancel_ahead(G, first)
  end
end

local function end_revoked(ids)
  for _, id in ipairs(ids) do
    local r = load(id)
    unplace(r)
    end_by_store(r, '6', 'revoked', nil)
    write(r)
  end
end

-- Members of their own, at the places that they name, or behind all others.
local function add_members()
  local place = G.T
  for _, run in ipairs(runs) do
    for i = 1, run.n do
      local base = run.first + (i - 1) * run.width
      local id, index = ARGV[base], ARGV[base + 3]
      if not late then
        call('HSET', chunk(G, 'a', tonumber(index)), index, id)
      elseif run.letters[i] ~= 'd' then
        run.places = run.places or {}
        run.places[i] = int(place)
        call('HSET', G.g and key .. ':l' or chunk(G, 'a', place), int(place), id)
        place = place + 1
      end
    end
  end
  if late then
    if G.g then G.L = G.L + place - G.T end
    G.T = place
  else
    G.T = G.T + n_members
  end
  if G.g then
    call('HSET', key, 'T', G.T, 'L', G.L)
    call('SADD', P .. 'gl', raw)
  else
    call('HSET', key, 'T', G.T, 'U', '1')
    call('SADD', P .. 'gu', raw)
    G.U = '1'
  end
  for _, run in ipairs(runs) do
    local ids = write_run(run)
    if G.v then end_revoked(ids) end
  end
end

if not dup_places then
  if n_rows > 0 then add_rows() else add_members() end
end

local function write_body()
  G.b = body_id
  local wait = {}
  for i, value in ipairs({ body.delay or '-', body.due or '-', body.expires_in or '-', body.expires or '-' }) do
    wait[i] = tonumber(value) and int(value) or '-'
  end
  G.h = table.concat(wait, ' ')
  call('HSET', key, 'b', body_id, 'h', G.h)
  local how, old = body.letters[1], body.old[1]
  prepare(body)
  if how == 'o' or how == 'a' then
    if old then remove(old) end
    if how == 'a' then forget_ahead(body_id) end
    write_record(body, 1)
  elseif how == 'f' then
    fill(body, 1, old, true)
  else
    if how == 'k' then
      come_late(body, 1, old)
      G.B = now
    end
    return
  end
  local r = load(body_id)
  put(r, 'j', raw)
  put(r, 's', '2')
  put(r, 'x', nil)
  if how == 'a' then
    flag(r, COMES_BACK, true)
    end_by_store(r, '6', 'revoked', nil)
  else
    call('ZADD', P .. 'w', now, body_id)
    count(body.q, 'w', 1)
  end
  write(r)
end
if seal and not G.z then
  G.z = '1'
  call('HSET', key, 'z', '1')
  if body then write_body() end
end
touch(G)
finish_if_ended(G)
push_then()
save_groups()
close_books()
return { 'o', epoch }

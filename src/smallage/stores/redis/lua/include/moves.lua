--#include following
-- The edges between a task's states, as the other stores have them. All work on loaded records; callers `save`.
--#const FRONT true

local function to_ready(r, front)
  put(r, 's', nil)
  r.state = 'r'
  local queue = text_of('q', r.q)
  if has(r, LEFT) then
    call('LREM', has(r, HELD) and held_line(r.name, queue, r.prio) or line(queue, r.prio), 1, r.id)
    flag(r, LEFT, false)
    flag(r, HELD, false)
  end
  count(r.q, 'r', 1)
  enqueue(r.id, queue, r.prio, front)
end
local function to_scheduled(r, due)
  if due <= now then return to_ready(r) end
  put(r, 's', '1')
  r.state = '1'
  count(r.q, 's', 1)
  delay(r.id, due, text_of('q', r.q))
end
local function unlist_parked(r)
  local name = text_of('n', r.name)
  call('LREM', P .. 'pn:' .. name, 1, r.id)
  if call('EXISTS', P .. 'pn:' .. name) == 0 then call('SREM', P .. 'pn', name) end
end
local LETTER = { r = 'r', n = 'n', ['1'] = 's', ['2'] = 'w', ['3'] = 'p' }
-- Takes a task that waits out of its order. A ready one leaves its entry behind: claim passes over it.
local function unplace(r)
  count(r.q, LETTER[r.state], -1)
  if r.state == 'r' then
    flag(r, LEFT, true)
    if has(r, HELD) then let_go(r.name, text_of('q', r.q), r.prio) end
  elseif r.state == '1' then
    call('ZREM', P .. 'd', r.id)
  elseif r.state == '2' then
    call('ZREM', P .. 'w', r.id)
  elseif r.state == '3' then
    unlist_parked(r)
  end
end

local function drop_claim(r)
  drop(r.session, r.id)
  r.session = nil
  put(r, 'o', nil)
  count(r.q, 'n', -1)
  local G = r.group and group(r.group)
  if G then
    G.R = G.R - 1
    touch(G)
  end
end

-- Failures, crashes, losses, releases.
local function counts_of(r)
  local a, b, c, d = string.match(r.f.v or '', '^(%d+) (%d+) (%d+) (%d+)$')
  return { tonumber(a) or 0, tonumber(b) or 0, tonumber(c) or 0, tonumber(d) or 0 }
end
local function add_count(r, i)
  local v = counts_of(r)
  v[i] = v[i] + 1
  put(r, 'v', string.format('%.0f %.0f %.0f %.0f', v[1], v[2], v[3], v[4]))
  return v
end

-- Ends of like members that keep no record: list g:<id>:r:<chunk>. An entry is the place, the state with flags, the
-- settled token; start before the token and end after the start in 4 bytes each, or (16) both as instants in 7; (32) the
-- generation; (64) the reason with its length; (128) the result.
local function member_end(index, state, gen, settled, started, ended, reason, result)
  reason = reason and string.sub(reason, 1, 255)
  local before, lasted = settled - started, ended - started
  local wide = before < 0 or before >= 4294967296 or lasted < 0 or lasted >= 4294967296
  local flags = state + (wide and 16 or 0) + (gen ~= 1 and 32 or 0) + (reason and 64 or 0) + (result and 128 or 0)
  local entry
  if wide then
    entry = struct.pack('>I1I1I7I7I7', index % 128, flags, settled, started, ended)
  else
    entry = struct.pack('>I1I1I7I4I4', index % 128, flags, settled, before, lasted)
  end
  if gen ~= 1 then entry = entry .. struct.pack('>I2', gen) end
  if reason then entry = entry .. struct.pack('>I1', #reason) .. reason end
  return result and entry .. result or entry
end
local function free_rows(G, index)
  local first = math.floor(index / 128) * 16
  local size = 128
  if G.z then size = math.min(128, G.rows - first * 8) end
  if call('BITCOUNT', G.key .. ':b', first, first + 15) >= size then call('UNLINK', chunk(G, 'a', index)) end
end

local finish_if_ended

local COUNTER = { ['4'] = 'D', ['5'] = 'F', ['6'] = 'C' }
local function count_member(G, r, reason, result)
  local counter = COUNTER[r.state]
  G[counter] = G[counter] + 1
  if r.state == '5' then
    call('SADD', G.key .. ':d', r.index)
  elseif r.like then
    local tok = tonumber(r.f.k) or 0
    local settled = r.f.z == '1' and tok or tonumber(r.f.z) or 0
    local started = r.f.k and tok - (tonumber(r.f.b) or 0) or 0
    call('RPUSH', chunk(G, 'r', r.index),
      member_end(r.index, tonumber(r.state), r.gen, settled, started, now, reason, result))
    call('SETBIT', G.key .. ':b', r.index, 1)
    call('UNLINK', key_of(r.id), P .. 'p:' .. r.id, P .. 'u:' .. r.id)
    if r.index >= G.c then G.w = G.w + 1 end
    r.removed = true
    free_rows(G, r.index)
  end
  touch(G)
  finish_if_ended(G)
end

local function tell_task(r)
  if r.like then tell_place(r.group, r.index) else tell(r.id) end
end

-- The terminal edge: result, reason, indexes, group and watchers in one step. The task stands in no order now.
local function finish(r, state, reason, result)
  r.state = state
  put(r, 's', state)
  put(r, 'e', int(now))
  put(r, 'c', reason)
  if r.f.o then put(r, 'o', nil) end
  if r.f.u or has(r, U_OUT) then put_bytes(r, 'u', nil) end
  if state ~= '5' then
    put_bytes(r, 'p', nil)
    if r.keep == 0 then result = nil end
  end
  flag(r, REVOKED, false)
  tell_task(r)
  local B = r.f.j and group(r.f.j)
  if B then
    B.B = now
    B.dirty = true
    list_group(B)
  end
  local G = r.group and group(r.group)
  if not (G and r.like and state ~= '5') then put_bytes(r, 'y', result) end
  if state == '5' then call('ZADD', P .. 'x', now, r.id) end
  if G then
    total(ENDED[state], 1)
    count_member(G, r, reason, r.keep ~= 0 and result or nil)
  elseif r.keep == 0 and state ~= '5' then
    tombs[#tombs + 1] = r.id
  else
    total(ENDED[state], 1)
    if r.keep ~= -1 then
      list_ending(r.id, now + (state == '5' and math.max(r.keep, DAY) or r.keep))
    else
      call('RPUSH', P .. 'f:keep', r.id)
    end
  end
end
-- An end that the store makes by itself, which may have to be followed up.
local function end_by_store(r, state, reason, result)
  if r.like or r.flags >= FOLLOWS then follow_end(r, state, reason) end
  finish(r, state, reason, result)
end
local function write(r)
  if not r.removed then save(r) end
end

-- (due, expiry) as instants, from an envelope's four times.
local function times(delay_us, due, expires_in, expires)
  if not due and delay_us and delay_us > 0 then due = now + delay_us end
  if expires_in and expires_in ~= 0 then
    local ends = now + expires_in
    if not expires or expires == 0 or ends < expires then expires = ends end
  end
  if expires == 0 then expires = nil end
  return due, expires
end

-- When the last member has ended, the group ends and its body is released; the body's own times count from here.
finish_if_ended = function(G)
  if not G.z or G.e ~= 0 or G.D + G.F + G.C < G.T then return end
  G.e = now
  G.dirty = true
  list_group(G)
  local body = G.b and load(G.b)
  if not body or body.state ~= '2' or body.f.j ~= G.raw then return end
  unplace(body)
  local wait = G.h and { string.match(G.h, '^(%S+) (%S+) (%S+) (%S+)$') } or {}
  local due, expires = times(tonumber(wait[1]), tonumber(wait[2]), tonumber(wait[3]), tonumber(wait[4]))
  put(body, 'x', expires and int(expires) or nil)
  to_scheduled(body, due or now)
  write(body)
end

-- False, and the task ends cancelled, if it was revoked while it ran, alone or with its group.
local function goes_back(r)
  local G = r.group and group(r.group)
  if has(r, REVOKED) or (G and G.v) then
    end_by_store(r, '6', 'revoked', nil)
    return false
  end
  return true
end
local function budgets(r)
  local of = r.like and group(r.group) or r.f
  local a, b = string.match(of.m or '', '^(%d+) (%d+)$')
  return tonumber(a) or 3, tonumber(b) or 10
end
-- Charges a crash (2) or a loss (3): at once again the first time, then later, then dead.
local function charge(r, which, err)
  local v = add_count(r, which)
  if not goes_back(r) then return end
  local max_crashes, max_lost = budgets(r)
  local times = v[2] + v[3]
  if v[2] > max_crashes then
    end_by_store(r, '5', 'crashed', err)
  elseif v[3] > max_lost then
    end_by_store(r, '5', 'lost', err)
  elseif times == 1 then
    to_ready(r, FRONT)
  else
    to_scheduled(r, now + math.min(60000000, 1000000 * 2 ^ math.min(math.max(times - 2, 0), 6)))
  end
end

-- A record that cannot be read ends dead ("damaged"). A key of a wrong type is set aside with its bytes.
local function damaged(id, q)
  local r = load(id)
  if r and r.broken then
    call('RENAME', key_of(id), P .. 'w:' .. id)
    call('HSET', key_of(id), 's', '5', 'c', 'damaged', 'e', now, 'q', q)
    r = load(id)
  end
  if r then
    count(q, 'r', -1)
    flag(r, HELD, false)
    finish(r, '5', 'damaged', nil)
    write(r)
  end
end

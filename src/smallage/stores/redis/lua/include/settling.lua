--#include claiming
--#include then
-- Ends and moves of claims. A settlement is: id, generation, token, nonce, kind, and what the kind brings:
-- d(one): result · e: done without one · D(one) and f(ailed): bytes, (f: reason,) ends, messages · R(eplaced): messages ·
-- c(ancelled): bytes, reason · r(etry): due, delay, bytes error, bytes payload, queue, priority, expiry, bytes note ·
-- s(nooze): delay · l (released) · k (parked) · x (crashed): bytes

-- The two common ends are done at once and only their books are gathered: a plain record, and a like member.
local plain_ends, plain_ids, plain_tombs = 0, {}, {}
local caller, caller_ids, left_queues = false, {}, {}

-- A plain record that is done: v holds its s k o f q t. One command writes its end.
local function done_plain(id, key, v, result)
  local keep = v[6]
  if keep == '0' then result = nil end
  if v[4] and PLAIN[v[4]] then call('UNLINK', P .. 'p:' .. id) end
  if result and #result > INLINE then
    call('SET', P .. 'y:' .. id, result)
    call('HSET', key, 's', '4', 'p', '', 'o', '', 'e', now_text, 'f', Y_OUT + MORE)
  elseif v[4] then
    call('HSET', key, 's', '4', 'p', '', 'o', '', 'e', now_text, 'f', MORE, result and 'y' or 's', result or '4')
  elseif result then
    call('HSET', key, 's', '4', 'p', '', 'o', '', 'e', now_text, 'y', result)
  else
    call('HSET', key, 's', '4', 'p', '', 'o', '', 'e', now_text)
  end
  local session = v[1]
  if session == caller then
    caller_ids[#caller_ids + 1] = id
  else
    if caller then drop(string.sub(session, 2), id) else caller, caller_ids = session, { id } end
  end
  local q = v[5] or '0'
  left_queues[q] = (left_queues[q] or 0) + 1
  if not keep then
    plain_ends = plain_ends + 1
    plain_ids[plain_ends] = id
  elseif keep == '0' then
    tombs[#tombs + 1] = id
  else
    total('done', 1)
    if keep == '-1' then call('RPUSH', P .. 'f:keep', id) else list_ending(id, now + (tonumber(keep) or DAY)) end
  end
  to_tell[#to_tell + 1] = id
end

-- A like member that is done: its record gives way to an entry in its group.
local member_ends = {}
local function done_member(G, id, key, index, v, result)
  call('UNLINK', key)
  local ends = member_ends[G.raw]
  if not ends then
    ends = { n = 0, group = G }
    member_ends[G.raw] = ends
  end
  if G.t == '0' then result = nil end
  local tok = tonumber(v[2])
  ends.n = ends.n + 1
  ends[ends.n] = index
  local at_chunk = math.floor(index / 128)
  local entries = ends['r' .. at_chunk]
  if not entries then
    entries = {}
    ends['r' .. at_chunk] = entries
    ends.chunks = ends.chunks or {}
    ends.chunks[#ends.chunks + 1] = at_chunk
  end
  entries[#entries + 1] = member_end(index, 4, 1, tok, tok - (tonumber(v[5] or nil) or 0), now, nil, result)
  if v[1] == caller then
    caller_ids[#caller_ids + 1] = id
  else
    drop(string.sub(v[1], 2), id)
  end
  G.D, G.R, G.S = G.D + 1, G.R - 1, G.S + 1
  if index >= G.c then G.w = G.w + 1 end
  tell_place(G.raw, index)
end
local function flush_ends()
  for _, ends in pairs(member_ends) do
    local G = ends.group
    count(G.q, 'n', -ends.n)
    total('done', ends.n)
    local sets = {}
    for i = 1, ends.n do
      local m = 4 * i
      sets[m - 3], sets[m - 2], sets[m - 1], sets[m] = 'SET', 'u1', ends[i], 1
    end
    for from = 1, #sets, 4000 do
      call('BITFIELD', G.key .. ':b', unpack(sets, from, math.min(from + 3999, #sets)))
    end
    for _, at_chunk in ipairs(ends.chunks) do
      call('RPUSH', G.key .. ':r:' .. at_chunk, unpack(ends['r' .. at_chunk]))
      free_rows(G, at_chunk * 128)
    end
    touch(G)
    member_ends[G.raw] = nil
    finish_if_ended(G)
  end
  if caller_ids[1] then
    local session = string.sub(caller, 2)
    for _, id in ipairs(caller_ids) do drop(session, id) end
    caller_ids = {}
  end
  for q, n in pairs(left_queues) do count(q, 'n', -n) end
  left_queues = {}
  if plain_ends > 0 then
    total('done', plain_ends)
    local minute = math.floor((now + DAY) / 60000000)
    local ids = endings[minute]
    if ids then
      for _, id in ipairs(plain_ids) do ids[#ids + 1] = id end
    else
      endings[minute] = plain_ids
    end
    plain_ends, plain_ids = 0, {}
  end
end

local function park(r)
  local name = text_of('n', r.name)
  if call('HEXISTS', P .. 'nc', name) == 1 then return to_scheduled(r, now + 1000000) end
  put(r, 's', '3')
  r.state = '3'
  count(r.q, 'p', 1)
  call('RPUSH', P .. 'pn:' .. name, r.id)
  call('SADD', P .. 'pn', name)
end

local function retry(r, due, delay_us, payload, queue, priority, expires, note)
  if payload then put_bytes(r, 'p', payload) end
  if queue then
    r.q = queue_number(queue)
    put(r, 'q', (r.like or r.q ~= '0') and r.q or nil)
  end
  if priority then
    r.prio = priority
    put(r, 'r', (r.like or priority ~= '0') and priority or nil)
  end
  if expires then put(r, 'x', (expires ~= '0' or r.like) and expires or nil) end
  put_bytes(r, 'u', note)
  local G = r.group and group(r.group)
  if G then G.Y = G.Y + 1 end
  tell_task(r)
  to_scheduled(r, due or now + delay_us)
end

-- A like member takes from its group what it had of it.
local function become_unlike(r)
  local G = group(r.group)
  put(r, 'i', r.group .. int(r.index))
  put(r, 'n', G.n)
  put(r, 'g', G.g)
  put(r, 'a', int(G.a))
  put(r, 'q', r.q ~= '0' and r.q or nil)
  put(r, 'r', r.prio ~= '0' and r.prio or nil)
  put(r, 't', G.t)
  put(r, 'm', G.m)
  call('HSET', G.key .. ':l', r.index, r.id)
  call('SADD', P .. 'gl', r.group)
  r.like = nil
end
-- The task gives its place to others: it becomes a seat. A body has ended as far as its group is concerned.
local function become_seat(r)
  local B = r.f.j and group(r.f.j)
  if B then
    B.B = now
    B.dirty = true
    list_group(B)
  end
  put(r, 'j', nil)
  put_bytes(r, 'p', nil)
  put_bytes(r, 'u', nil)
  put(r, 'x', nil)
  put(r, 's', '2')
  r.state = '2'
  if r.like then become_unlike(r) end
  flag(r, SEAT, true)
  count(r.q, 'w', 1)
  call('ZADD', P .. 'w', now, r.id)
end

local apply = {
  D = function(r)
    finish(r, '4', nil, bytes())
  end,
  f = function(r)
    local err, reason = bytes(), arg()
    add_count(r, 1)
    finish(r, '5', reason ~= 'failed' and reason or nil, err)
  end,
  c = function(r)
    local result, reason = bytes(), arg()
    flag(r, RAN, true)
    end_by_store(r, '6', reason, result)
  end,
  r = function(r)
    local due, delay_us = tonumber(arg()), number()
    bytes()
    local payload, queue, priority, expires, note = bytes(), maybe(), maybe(), maybe(), bytes()
    add_count(r, 1)
    if goes_back(r) then retry(r, due, delay_us, payload, queue, priority, expires, note) end
  end,
  s = function(r)
    local delay_us = number()
    add_count(r, 4)
    if goes_back(r) then to_scheduled(r, now + delay_us) end
  end,
  R = function(r)
    add_count(r, 4)
    if goes_back(r) then become_seat(r) end
  end,
  l = function(r)
    add_count(r, 4)
    if goes_back(r) then to_ready(r, FRONT) end
  end,
  k = function(r)
    add_count(r, 4)
    if goes_back(r) then park(r) end
  end,
  x = function(r)
    charge(r, 2, bytes())
  end,
}
-- Reads past the arguments of a settlement that changes nothing.
local function skip(kind)
  if kind == 'd' then
    at = at + 1
  elseif kind == 'D' or kind == 'f' then
    bytes()
    if kind == 'f' then arg() end
    end_others(true)
    skip_then()
  elseif kind == 'R' then
    skip_then()
  elseif kind == 'c' then
    bytes()
    arg()
  elseif kind == 'r' then
    at = at + 2
    bytes()
    bytes()
    at = at + 3
    bytes()
  elseif kind == 's' then
    at = at + 1
  elseif kind == 'x' then
    bytes()
  end
end

-- dup if this very settlement was accepted before, else stale.
local function refused(id, gen, tok)
  local r = find(id)
  if r then
    local settled = (r.state == '4' and not has(r, GIVEN) or r.f.z == '1') and r.tok or tonumber(r.f.z) or 0
    if not r.broken and r.gen == gen and settled == tok then return 'd' end
  else
    local raw, index = place_of(id)
    local G = raw and living(raw)
    if G and not G.U then
      local ends = call('LRANGE', chunk(G, 'r', index), 0, -1)
      for i = #ends, 1, -1 do
        local place, flags, settled = struct.unpack('>I1I1I7', ends[i])
        if place == index % 128 then
          local its_gen = 1
          if math.floor(flags / 32) % 2 == 1 then
            its_gen = struct.unpack('>I2', ends[i], math.floor(flags / 16) % 2 == 1 and 24 or 18)
          end
          if its_gen == gen and settled == tok then return 'd' end
          break
        end
      end
    end
  end
  total('stale', 1)
  return 's'
end

local function settle_one()
  local id, gen, tok, nonce, kind = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5]
  at = at + 5
  local key = P .. 't:' .. id
  local member = string.byte(id) == 109 and #id > 17
  local v = redis.pcall('HMGET', key, 's', 'k', 'o', 'f', member and 'b' or 'q', 't', 'n')
  local flags = v[4]
  if v.err or not v[1] or v[2] ~= tok or v[3] ~= nonce or string.byte(v[1]) ~= 64
      or (flags and call('HGET', key, 'h') or '1') ~= gen then
    skip(kind)
    flush_ends()
    return refused(id, tonumber(gen), tonumber(tok))
  end
  if kind == 'd' or kind == 'e' then
    local result
    if kind == 'd' then result = arg() end
    if v[7] and not member then
      if not flags or PLAIN[flags] ~= nil then
        done_plain(id, key, v, result)
        return 'o'
      end
    elseif not flags and not v[7] then
      local raw, index = place_of(id)
      local G = raw and group(raw)
      if G then
        done_member(G, id, key, index, v, result)
        if G.z and G.D + G.F + G.C >= G.T then flush_ends() end
        return 'o'
      end
    end
    flush_ends()
    local r = load(id)
    put(r, 'z', '1')
    drop_claim(r)
    finish(r, '4', nil, result)
    write(r)
    return 'o'
  end
  flush_ends()
  local r = load(id)
  put(r, 'z', '1')
  drop_claim(r)
  apply[kind](r)
  write(r)
  if kind == 'D' or kind == 'f' then
    end_others()
    push_then()
  elseif kind == 'R' then
    if r.state == '2' then push_then() else skip_then() end
  end
  return 'o'
end

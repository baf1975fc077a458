--#include claiming
--#include insert
-- Ends and moves of claims. A settlement is: id, generation, token, nonce, kind, and what the kind brings:
-- d(one) and f(ailed): bytes, (f: reason,) messages · c(ancelled): bytes, reason · r(etry): due, delay, bytes error,
-- bytes payload, queue, priority, expiry, bytes note · s(nooze): delay · l (released) · k (parked) · x (crashed): bytes
local LOOK = { 's', 'k', 'o', 'h', 'f', 'i', 'j', 'n', 'q', 't', 'u' }

-- The common end: a plain record that is done. Reads nothing that it does not need, writes one command.
local function done_plain(id, v, result)
  local key = key_of(id)
  local keep = tonumber(v[10] or nil) or DAY
  if keep == 0 then result = nil end
  local q = v[9] or '0'
  if v[5] then call('UNLINK', P .. 'p:' .. id) end
  if result and #result > INLINE then
    call('SET', P .. 'y:' .. id, result)
    call('HSET', key, 's', '4', 'p', '', 'o', '', 'z', '1', 'e', now, 'f', Y_OUT)
  elseif result then
    call('HSET', key, 's', '4', 'p', '', 'o', '', 'z', '1', 'e', now, 'y', result)
  else
    call('HSET', key, 's', '4', 'p', '', 'o', '', 'z', '1', 'e', now)
  end
  if v[5] and not (result and #result > INLINE) then call('HDEL', key, 'f') end
  drop(string.sub(v[1], 2), id)
  count(q, 'n', -1)
  if keep == 0 then
    tombs[#tombs + 1] = id
  else
    total('done', 1)
    if keep == -1 then call('RPUSH', P .. 'f:keep', id) else list_ending(id, now + keep) end
  end
  tell(id)
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
  tell(r.id)
  to_scheduled(r, due or now + delay_us)
end

local apply = {
  d = function(r)
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
    finish(r, '6', reason, result)
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
  if kind == 'd' or kind == 'f' then
    bytes()
    if kind == 'f' then arg() end
    for _ = 1, number() do read_run() end
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
    local settled = r.f.z == '1' and r.tok or tonumber(r.f.z) or 0
    if not r.broken and r.gen == gen and settled == tok then return 'd' end
  else
    local raw, index = place_of(id)
    local G = raw and living(raw)
    if G and not G.U then
      local ends = call('LRANGE', chunk(G, 'r', index), 0, -1)
      for i = #ends, 1, -1 do
        local place, _, its_gen, settled = struct.unpack('>I1I1I2I7', ends[i])
        if place == index % 128 then
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
  local id, gen, tok, nonce, kind = arg(), number(), arg(), arg(), arg()
  local v = redis.pcall('HMGET', key_of(id), unpack(LOOK))
  local current = not v.err and v[1] and string.byte(v[1]) == 64 and v[2] == tok and v[3] == nonce
      and (tonumber(v[4] or nil) or 1) == gen
  if not current then
    skip(kind)
    return refused(id, gen, tonumber(tok))
  end
  if kind == 'd' and v[8] and not v[6] and not v[7] and not v[11] and (not v[5] or v[5] == '8') then
    done_plain(id, v, bytes())
    push_then()
    return 'o'
  end
  local r = load(id)
  put(r, 'z', '1')
  drop_claim(r)
  apply[kind](r)
  write(r)
  if kind == 'd' or kind == 'f' then push_then() end
  return 'o'
end

--#include groups
-- Task records: hash t:<id>, loaded as a table, changed by `put`, written back by `save`. See keys.py for the fields.
local FIELDS = { 's', 'n', 'p', 'g', 'q', 'r', 'a', 'k', 'o', 'b', 'z', 'e', 'v', 'h', 'x', 't', 'm', 'u', 'y', 'c',
  'f', 'i', 'j', 'A' }
local ENDED = { ['4'] = 'done', ['5'] = 'dead', ['6'] = 'cancelled' }
-- Bits of the flags field f. LEFT: an entry stands where the task is not any more. MORE: the record has fields that the
-- short ways of claim and settle do not look at. FOLLOWS and the next: the envelope's follow, 1 or 2. SEAT: waits for a
-- message of its id, or was revoked while it did. COMES_BACK: was revoked before it came, which outlives it.
-- HELD: stands in a held back line, or LEFT an entry there. GIVEN: its end was another task's act.
--#const REVOKED 1
--#const RAN 2
--#const LEFT 4
--#const P_OUT 8
--#const Y_OUT 16
--#const U_OUT 32
--#const MORE 64
--#const FOLLOWS 128
--#const SEAT 512
--#const COMES_BACK 1024
--#const HELD 2048
--#const GIVEN 4096
-- How long a revoke of an id that has not come is remembered.
--#const AHEAD 10800000000
-- A value longer than this turns a small hash into a table that is many times larger, so it gets a key of its own.
--#const INLINE 64
local OUT = { p = P_OUT, y = Y_OUT, u = U_OUT }

local function key_of(id) return P .. 't:' .. id end

-- Of an id that was revoked before it came there is no record: nil, and when it was revoked.
local function load(id)
  local v = redis.pcall('HMGET', key_of(id), unpack(FIELDS))
  if v.err then return { id = id, broken = true, f = {}, q = '0', prio = '0', flags = 0, keep = DAY } end
  local f = {}
  for i = 1, #FIELDS do
    if v[i] then f[FIELDS[i]] = v[i] end
  end
  if not (f.s or f.g or f.k or f.h) then return nil end
  if f.s == '7' then return nil, tonumber(f.e) or 0 end
  local r = { id = id, f = f, sets = {}, drops = {}, new = {} }
  local of = f
  if f.i then
    r.group, r.index = string.sub(f.i, 1, 16), tonumber(string.sub(f.i, 17))
  elseif not f.n then
    local raw, index = place_of(id)
    if raw then
      r.group, r.index, r.like = raw, index, true
      of = group(raw) or f
    end
  end
  r.name = of.n
  r.q, r.prio = f.q or of.q or '0', f.r or of.r or '0'
  r.keep = tonumber(of.t) or DAY
  r.flags = tonumber(f.f) or 0
  r.gen, r.tok = tonumber(f.h) or 1, tonumber(f.k) or 0
  local s = f.s
  if not s then
    r.state = 'r'
  elseif string.byte(s) == 64 then
    r.state, r.session = 'n', string.sub(s, 2)
  else
    r.state = s
  end
  return r
end

local function has(r, flag) return math.floor(r.flags / flag) % 2 == 1 end
local function flag(r, flag, on)
  if has(r, flag) ~= on then
    r.flags = r.flags + (on and flag or -flag)
    r.reflag = true
  end
end
local function put(r, field, value)
  r.f[field] = value
  r.new[field] = true
end
-- Bytes of any length (payload, result, progress); nil removes them.
local function put_bytes(r, field, value)
  local out = OUT[field]
  local far = value and #value > INLINE
  if far then
    call('SET', P .. field .. ':' .. r.id, value)
    value = nil
  elseif has(r, out) then
    call('UNLINK', P .. field .. ':' .. r.id)
  end
  flag(r, out, far or false)
  put(r, field, value)
end
local function get_bytes(r, field)
  if has(r, OUT[field]) then return call('GET', P .. field .. ':' .. r.id) end
  return r.f[field]
end
local function save(r)
  local f = r.f
  flag(r, MORE, (f.x or f.v or f.h or f.i or f.j or f.z or f.u or f.A or has(r, U_OUT)) and true or false)
  if r.reflag then put(r, 'f', r.flags ~= 0 and int(r.flags) or nil) end
  r.reflag = false
  local sets, drops = {}, {}
  for field in pairs(r.new) do
    local value = r.f[field]
    if value then
      sets[#sets + 1] = field
      sets[#sets + 1] = value
    else
      drops[#drops + 1] = field
    end
  end
  r.new = {}
  if sets[1] then call('HSET', key_of(r.id), unpack(sets)) end
  if drops[1] then call('HDEL', key_of(r.id), unpack(drops)) end
end

-- True once the life of the record after its end is over; members of groups go with their group.
local function life_over(state, ended, keep)
  if not ENDED[state] or keep == -1 then return false end
  if state == '5' then
    keep = math.max(keep, DAY)
  elseif keep == 0 then
    keep = TOMB
  end
  return ended + keep <= now
end
local function gone(r)
  if r.broken then return false end
  if r.group then
    local G = group(r.group)
    if G then return group_gone(G) end
  end
  return life_over(r.state, tonumber(r.f.e) or 0, r.keep)
end
local function find(id)
  local r = load(id)
  if r and not gone(r) then return r end
end

-- Takes an ended record away, with all that belongs to it, or what stands in its place for a revoke.
local function remove(r)
  call('UNLINK', key_of(r.id), P .. 'p:' .. r.id, P .. 'y:' .. r.id, P .. 'u:' .. r.id)
  if r.broken or r.ahead then return end
  if has(r, COMES_BACK) then
    local ahead = tonumber(call('ZSCORE', P .. 'ra', r.id) or nil)
    if ahead and ahead + AHEAD > now then call('HSET', key_of(r.id), 's', '7', 'e', ahead) end
  end
  if r.state == '5' then
    call('ZREM', P .. 'x', r.id)
    if r.f.c == 'damaged' then call('UNLINK', P .. 'w:' .. r.id) end
  end
  if has(r, LEFT) then
    local queue = text_of('q', r.q)
    local key = has(r, HELD) and held_line(r.name, queue, r.prio) or line(queue, r.prio)
    if call('LLEN', key) <= 10000 then call('LREM', key, 1, r.id) end
  end
  if ENDED[r.state] and not (r.keep == 0 and r.state ~= '5' and not r.group) then total(ENDED[r.state], -1) end
end
-- What stands in the place of a record for a revoke that came before it.
local function forget_ahead(id)
  local v = redis.pcall('HGET', key_of(id), 's')
  if v == '7' then call('UNLINK', key_of(id)) end
end
--#scope

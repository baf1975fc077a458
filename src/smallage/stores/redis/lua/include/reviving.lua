--#include revoking
-- Running ended tasks again.
local function clear_counts(r)
  put(r, 'h', int(r.gen + 1))
  for _, field in ipairs({ 'v', 'z', 'c', 'e' }) do put(r, field, nil) end
  put_bytes(r, 'y', nil)
  flag(r, RAN, false)
  flag(r, REVOKED, false)
end
-- A body that is dead, or has not started, waits for the group again; one that ran or runs stays.
local function rewait_body(G)
  local body = G.b and load(G.b)
  if not body or body.broken or body.f.j ~= G.raw then return end
  if body.state == '5' then
    G.B = 0
    clear_counts(body)
    call('ZREM', P .. 'x', body.id)
    total('dead', -1)
  elseif body.state == 'r' or body.state == '1' then
    unplace(body)
  else
    return
  end
  put(body, 's', '2')
  put(body, 'x', nil)
  count(body.q, 'w', 1)
  call('ZADD', P .. 'w', now, body.id)
  write(body)
end
-- False if its payload is not there any more. Only dead tasks keep theirs.
local function revive(r)
  if r.broken or r.state ~= '5' then return false end
  local G = r.group and group(r.group)
  if not get_bytes(r, 'p') and not (r.like and G) then return false end
  if G then
    G.F = G.F - 1
    G.e = 0
    call('SREM', G.key .. ':d', r.index)
    touch(G)
    rewait_body(G)
  end
  local B = r.f.j and group(r.f.j)
  if B then
    B.B = 0
    B.dirty = true
  end
  call('ZREM', P .. 'x', r.id)
  total('dead', -1)
  clear_counts(r)
  put(r, 'x', r.like and '0' or nil)
  put(r, 'b', r.f.k)
  to_ready(r)
  write(r)
  return true
end

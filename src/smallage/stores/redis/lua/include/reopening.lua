--#include moves
-- Ended tasks that are open again.
-- A dead task gets a new generation, with counters at zero and without an end. Its group counts it as open once more.
local count_again
local function start_anew(r)
  count_again(r)
  call('ZREM', P .. 'x', r.id)
  total('dead', -1)
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
    start_anew(body)
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
count_again = function(r)
  local G = r.group and group(r.group)
  if not G then return end
  G.F = G.F - 1
  G.e = 0
  call('SREM', G.key .. ':d', r.index)
  touch(G)
  rewait_body(G)
end

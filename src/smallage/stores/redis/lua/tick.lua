-- Renews leases, takes back the work of lost sessions, promotes what is due, gives up on parked tasks, prunes. In: known
-- epoch, number of sessions, sessions, number of dead, dead. Keys: those of settle, and l, h:, s:, lc, nc, gz.
-- Answer: nil without an epoch, else {now, next due, next foreign lease end, unknown, promoted, taken back, 1 if there is
-- more to do, epoch if it is not the known one}.
--#include drain
--#include epoch
--#include reached
--#include sessions
--#include promote
--#include pruning
local epoch = check_epoch()
if not epoch then return false end
local grace = reached()

local renewed, unknown = {}, {}
for _ = 1, number() do
  local session = arg()
  local lease = call('HGET', P .. 'h:' .. session, 'L')
  if lease then
    renewed[session] = true
    call('ZADD', P .. 'l', 'GT', now + tonumber(lease), session)
  else
    unknown[#unknown + 1] = session
  end
end

local lost, is_lost = {}, {}
for _ = 1, number() do
  local session = arg()
  if not renewed[session] and not is_lost[session] then
    is_lost[session] = true
    lost[#lost + 1] = session
  end
end
if now >= grace then
  for _, session in ipairs(call('ZRANGEBYSCORE', P .. 'l', '-inf', now)) do
    if not renewed[session] and not is_lost[session] then lost[#lost + 1] = session end
  end
end
local taken, more = {}, 0
for _, session in ipairs(lost) do
  if #taken > 500 then
    more = 1
    break
  end
  for _, id in ipairs(end_session(session, function(r) charge(r, 3) end) or {}) do taken[#taken + 1] = id end
end

local promoted, next_due = promote(200)
if next_due then
  if tonumber(next_due) <= now then more = 1 end
  next_due = int(tonumber(next_due))
end

-- Parked for a week: given up.
for _, name in ipairs(call('SMEMBERS', P .. 'pn')) do
  for _, id in ipairs(call('LRANGE', P .. 'pn:' .. name, 0, 99)) do
    local r = load(id)
    if r and r.state == '3' then
      local G = r.like and group(r.group)
      local pushed = G and G.a or tonumber(r.f.a) or now
      if pushed + 7 * DAY <= now then
        count(r.q, 'p', -1)
        unlist_parked(r)
        end_by_store(r, '5', 'unknown-task', nil)
        write(r)
      end
    end
  end
end
save_groups()
if prune() then more = 1 end
close_books()

local next_lease = false
local ends = call('ZRANGE', P .. 'l', 0, at, 'WITHSCORES')
for i = 1, #ends, 2 do
  if not renewed[ends[i]] then
    next_lease = int(tonumber(ends[i + 1]))
    break
  end
end
return { int(now), next_due, next_lease, unknown, promoted, taken, more, epoch }

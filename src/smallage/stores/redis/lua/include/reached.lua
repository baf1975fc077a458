--#include base
-- The grace rule: after a silence of more than half a lease, or a clock that went back, leases are not judged for one
-- lease. Hash `lc` counts live sessions by the length of their lease. Returns until when grace runs.
local function reached()
  local v = call('HMGET', P .. 'c', 'reached', 'grace')
  local before, grace = tonumber(v[1] or nil), tonumber(v[2] or nil) or 0
  if before then
    local lease
    for _, one in ipairs(call('HKEYS', P .. 'lc')) do lease = math.max(lease or 0, tonumber(one)) end
    lease = lease or 15000000
    local back = now < before
    if back or now - before > math.floor(lease / 2) then grace = now + lease end
    if back then
      local ends = call('ZRANGEBYSCORE', P .. 'l', '(' .. int(now), '+inf', 'WITHSCORES')
      for i = 1, #ends, 2 do
        local own = tonumber(call('HGET', P .. 'h:' .. ends[i], 'L') or nil) or 15000000
        if tonumber(ends[i + 1]) > now + own then call('ZADD', P .. 'l', now + own, ends[i]) end
      end
    end
  end
  call('HSET', P .. 'c', 'reached', now, 'grace', grace)
  return grace
end

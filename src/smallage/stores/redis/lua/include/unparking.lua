--#include moves
-- Sends up to `limit` parked tasks of a name back to their queues. Returns how many.
local function unpark(name, limit)
  local key = P .. 'pn:' .. name
  local ids = call('LPOP', key, limit)
  if not ids then
    call('SREM', P .. 'pn', name)
    return 0
  end
  local n = 0
  for _, id in ipairs(ids) do
    local r = load(id)
    if r and r.state == '3' then
      count(r.q, 'p', -1)
      to_ready(r)
      write(r)
      n = n + 1
    end
  end
  if call('EXISTS', key) == 0 then call('SREM', P .. 'pn', name) end
  return n
end

--#include moves
-- Makes what is due ready, at most `limit` entries, in order of due time. Returns how many, and the next due instant.
local function promote_group(raw)
  local G = group(raw)
  if not G then return end
  local n = G.rows - G.c - G.w
  call('HDEL', G.key, 'd', 'P')
  G.d, G.P = nil, nil
  count(G.q, 's', -n)
  count(G.q, 'r', n)
  enqueue('g' .. raw, text_of('q', G.q), G.r, false, n)
end
local function promote(limit)
  local first = call('ZRANGE', P .. 'd', 0, 0, 'WITHSCORES')
  if not first[1] then return 0, false end
  if tonumber(first[2]) > now then return 0, first[2] end
  local due = call('ZRANGEBYSCORE', P .. 'd', '-inf', now, 'LIMIT', 0, limit)
  call('ZREM', P .. 'd', unpack(due))
  local n = #due
  for _, entry in ipairs(due) do
    if is_key(entry) then
      ring_held_back(string.sub(entry, string.byte(entry, 2) == 37 and 3 or 2))
      n = n - 1
    elseif #entry == 17 and string.byte(entry) == 103 then
      promote_group(string.sub(entry, 2))
    else
      local r = load(entry)
      if r and r.state == '1' then
        count(r.q, 's', -1)
        to_ready(r)
        write(r)
      elseif r and r.broken then
        damaged(entry, '0')
      end
    end
  end
  first = call('ZRANGE', P .. 'd', 0, 0, 'WITHSCORES')
  return n, first[2] or false
end

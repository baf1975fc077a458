-- All sessions. Keys: l, h:, s:. Answer: session, info, lease end, number held of each.
--#include base
local answer = {}
local ends = call('ZRANGE', P .. 'l', 0, -1, 'WITHSCORES')
for i = 1, #ends, 2 do
  local session = ends[i]
  answer[#answer + 1] = session
  answer[#answer + 1] = call('HGET', P .. 'h:' .. session, 'I') or ''
  answer[#answer + 1] = int(tonumber(ends[i + 1]))
  answer[#answer + 1] = call('SCARD', P .. 's:' .. session)
end
return answer

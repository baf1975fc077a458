-- The answers under a ticket so far. In: ticket. Keys: an:<ticket>. Answer: node and answer of each.
--#include base
local v = call('HGETALL', P .. 'an:' .. arg())
local answer = {}
for i = 1, #v, 2 do
  if v[i] == '@' then
    if tonumber(v[i + 1]) + 60000000 <= now then return {} end
  else
    answer[#answer + 1] = string.sub(v[i], 2)
    answer[#answer + 1] = v[i + 1]
  end
end
return answer

-- All schedules. Keys: y, y:<name>. In: nothing. Answer: name, spec, source, paused, since, last instant, fired of each.
--#include base
local answer = {}
for _, name in ipairs(call('SMEMBERS', P .. 'y')) do
  local v = call('HMGET', P .. 'y:' .. name, 's', 'o', 'p', 'c', 'l', 'n')
  local m = #answer
  answer[m + 1] = name
  for i = 1, 6 do answer[m + 1 + i] = v[i] or '' end
end
return answer

-- Schedules by name. Keys: y:<name>. In: names. Answer: name, spec, source, paused, since, last instant, fired of each that
-- there is.
--#include base
local answer = {}
while at < #ARGV do
  local name = arg()
  local v = call('HMGET', P .. 'y:' .. name, 's', 'o', 'p', 'c', 'l', 'n', 'x')
  if v[1] and not v[7] then
    local m = #answer
    answer[m + 1] = name
    for i = 1, 6 do answer[m + 1 + i] = v[i] or '' end
  end
end
return answer

-- Limits of keys. In: keys, or none for all. Keys: m:<key>, lk. Answer: key, default, override, held back of each.
--#include base
local keys = {}
while at < #ARGV do keys[#keys + 1] = arg() end
if not keys[1] then keys = call('SMEMBERS', P .. 'lk') end
local answer = {}
for _, key in ipairs(keys) do
  local v = call('HMGET', P .. 'm:' .. key, 'd', 'o', 'h')
  if v[1] or v[2] then
    local m = #answer
    answer[m + 1], answer[m + 2], answer[m + 3], answer[m + 4] = key, v[1] or '', v[2] or '', v[3] or ''
  end
end
return answer

-- Pauses or resumes a schedule. In: name, 1 or 0. Keys: y:<name>. Answer: 1, or 0 if there is none.
--#include drain
--#include books
local key, on = P .. 'y:' .. arg(), arg() == '1'
local v = call('HMGET', key, 's', 'x', 'p')
if not v[1] or v[2] then return 0 end
if on ~= (v[3] == '1') then
  if on then call('HSET', key, 'p', '1') else call('HDEL', key, 'p') end
  tell('xschedules')
  close_books()
end
return 1

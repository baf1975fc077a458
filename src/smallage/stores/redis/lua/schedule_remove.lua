-- Removes a schedule; its last instant is remembered for a day. In: name. Keys: y, y:<name>, yx. Answer: 1, or 0 if there
-- is none.
--#include drain
--#include books
local name = arg()
local key = P .. 'y:' .. name
local v = call('HMGET', key, 's', 'x', 'l')
if not v[1] or v[2] then return 0 end
call('SREM', P .. 'y', name)
if v[3] then
  call('HSET', key, 'x', now)
  call('ZADD', P .. 'yx', now, name)
else
  call('UNLINK', key)
end
tell('xschedules')
close_books()
return 1

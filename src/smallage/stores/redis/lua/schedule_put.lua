-- Creates a schedule or changes its spec and source. In: known epoch, name, spec, source. Keys: y, y:<name>, yx. Answer:
-- the epoch if it is not the known one, nil if there is none.
--#include epoch
--#include books
local epoch = check_epoch()
if not epoch then return false end
local name, spec, source = arg(), arg(), arg()
local key = P .. 'y:' .. name
local v = call('HMGET', key, 's', 'o', 'x')
if v[1] == spec and v[2] == source and not v[3] then return epoch end
call('HSET', key, 's', spec, 'o', source)
call('SADD', P .. 'y', name)
if v[3] or v[1] ~= spec then call('HSET', key, 'c', now) end
if v[1] ~= spec or v[3] and tonumber(v[3]) + DAY <= now then call('HDEL', key, 'l') end
if v[3] then -- removed before: only the last instant is remembered
  call('HDEL', key, 'x', 'p', 'n')
  call('ZREM', P .. 'yx', name)
end
tell('xschedules')
close_books()
return epoch

-- Creates schedules or changes their specs and sources. In: known epoch, number, of each its name, spec, source, 1 to keep
-- its instants, 1 and the spec that it replaces ('' for none) or 0 for any. Keys: y, y:<name>, yx. Answer: {a letter of
-- each, o(k) or c for another spec than the named one, epoch if it is not the known one}.
--#include epoch
--#include books
local epoch = check_epoch()
if not epoch then return false end

local function put(name, spec, source, keep, over)
  local key = P .. 'y:' .. name
  local v = call('HMGET', key, 's', 'o', 'x')
  local old, gone = v[1], v[3]
  if old == spec and v[2] == source and not gone then return 'o' end
  if over and over ~= (old and not gone and old or '') then return 'c' end
  local anew = old ~= spec and not keep
  call('HSET', key, 's', spec, 'o', source)
  call('SADD', P .. 'y', name)
  if gone or not old or anew then call('HSET', key, 'c', now) end
  if gone and (old ~= spec or tonumber(gone) + DAY <= now) or anew then call('HDEL', key, 'l') end
  if gone then -- removed before: only the last instant is remembered
    call('HDEL', key, 'x', 'p', 'n')
    call('ZREM', P .. 'yx', name)
  end
  tell('xschedules')
  return 'o'
end

local letters = {}
for i = 1, number() do
  local name, spec, source, keep = arg(), arg(), arg(), arg() == '1'
  letters[i] = put(name, spec, source, keep, bytes())
end
close_books()
return { table.concat(letters), epoch }

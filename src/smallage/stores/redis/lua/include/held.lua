--#include order
-- What limits hold back: ready entries whose key had no token stand in lists hb:<queue>:<priority>:<key> and in no ready
-- line. Hash hl:<key>: priority:queue → how many; zset hq:<queue>: the lines that a queue has; q:<queue> h: how many those
-- are; m:<key> h: how many entries in all. A key with entries stands in the scheduled order, as % + its name's number.
local function held_line(n, queue, priority)
  return P .. 'hb:' .. queue .. ':' .. priority .. ':task:' .. text_of('n', n)
end
local function key_entry(n) return #n == 15 and '%%' .. n or '%' .. n end
local function is_key(entry) return string.byte(entry) == 37 and #entry ~= 16 end
local function hold_back(n, queue, priority, entries)
  call('RPUSH', held_line(n, queue, priority), unpack(entries))
  local key = 'task:' .. text_of('n', n)
  if call('HINCRBY', P .. 'hl:' .. key, priority .. ':' .. queue, #entries) == #entries then
    call('ZADD', P .. 'hq:' .. queue, 0, priority .. ':' .. key)
    call('HINCRBY', P .. 'q:' .. queue, 'h', 1)
  end
  call('HINCRBY', P .. 'm:' .. key, 'h', #entries)
end
-- An entry, or `k`, is held back no more. What it left in the list goes with the last one.
local function let_go(n, queue, priority, k)
  k = k or 1
  local key = 'task:' .. text_of('n', n)
  if call('HINCRBY', P .. 'hl:' .. key, priority .. ':' .. queue, -k) <= 0 then
    call('HDEL', P .. 'hl:' .. key, priority .. ':' .. queue)
    call('UNLINK', held_line(n, queue, priority))
    call('ZREM', P .. 'hq:' .. queue, priority .. ':' .. key)
    if call('HINCRBY', P .. 'q:' .. queue, 'h', -1) <= 0 then call('HDEL', P .. 'q:' .. queue, 'h') end
  end
  if call('HINCRBY', P .. 'm:' .. key, 'h', -k) <= 0 then
    call('ZREM', P .. 'd', key_entry(n))
    call('HDEL', P .. 'm:' .. key, 'h')
    if call('EXISTS', P .. 'm:' .. key) == 0 then call('SREM', P .. 'lk', key) end
  end
end
-- One stroke for each line; without a limit all that it holds may run.
local function ring_held_back(n)
  local limited = call('HEXISTS', P .. 'lm', n) == 1
  local lines = call('HGETALL', P .. 'hl:task:' .. text_of('n', n))
  for i = 1, #lines, 2 do
    ring(string.sub(lines[i], 3), limited and 1 or math.min(tonumber(lines[i + 1]), 64))
  end
end

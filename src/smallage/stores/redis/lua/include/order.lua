--#include names
--#include books
-- Ready lines r:<queue>:<priority>, and the scheduled order `d`.
local function line(queue, priority) return P .. 'r:' .. queue .. ':' .. priority end
-- A claim looks at priority 0 always and at the others only where q:<queue> says m: a bit for each that may be in use.
local function mark(queue, priority)
  if priority == '0' then return end
  local bits = tonumber(call('HGET', P .. 'q:' .. queue, 'm')) or 0
  local one = 2 ^ tonumber(priority)
  if math.floor(bits / one) % 2 == 0 then call('HSET', P .. 'q:' .. queue, 'm', bits + one) end
end
local function enqueue(entry, queue, priority, front, strokes)
  call(front and 'LPUSH' or 'RPUSH', line(queue, priority), entry)
  mark(queue, priority)
  ring(queue, strokes or 1)
end
local nearest, delayed
local function delay(entry, due, queue)
  if nearest == nil then
    local first = call('ZRANGE', P .. 'd', 0, 0, 'WITHSCORES')
    nearest = tonumber(first[2]) or math.huge
  end
  call('ZADD', P .. 'd', due, entry)
  delayed = true
  if due < nearest then
    nearest = due
    ring(queue, 1)
  end
end
--#scope

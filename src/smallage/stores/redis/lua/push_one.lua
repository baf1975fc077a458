-- Accepts one new task of the plainest kind: ready at once, no expiry, no group, priority 0, name and queue seen before.
-- One straight piece, because every function defined here would cost time on every call. In: known epoch, name, queue,
-- keep, budgets, id, payload, digest, follow. Keys: those of push. Answer: 1, or 0 if the task is not so plain, or not new, or
-- the epoch another: then nothing has happened, and push knows what to do.
local P, call, A = KEYS[1], redis.call, ARGV
local id, payload = A[7], A[8]
local key = P .. 't:' .. id
if call('HGET', P .. 'c', 'epoch') ~= A[2] or call('EXISTS', key) == 1 then return 0 end
local name = call('HGET', P .. 'nn', A[3])
if not name then return 0 end
local queue, number = A[4], '0'
local fields = { 'n', name, 'p', payload, 'g', A[9], 'a', A[1] }
if A[1] == '' then
  local t = call('TIME')
  fields[8] = t[1] .. string.format('%06d', t[2])
end
local flags = A[10] ~= '' and A[10] * 128 or 0
if #payload > 64 then
  fields[3], fields[4] = 'f', flags + 8
elseif flags > 0 then
  fields[9], fields[10] = 'f', flags
end
if queue ~= 'celery' then
  number = call('HGET', P .. 'qn', queue)
  if not number then return 0 end
  fields[#fields + 1] = 'q' fields[#fields + 1] = number
end
if A[5] ~= '' then fields[#fields + 1] = 't' fields[#fields + 1] = A[5] end
if A[6] ~= '' then fields[#fields + 1] = 'm' fields[#fields + 1] = A[6] end
if #payload > 64 then call('SET', P .. 'p:' .. id, payload) end
call('HSET', key, unpack(fields))
call('RPUSH', P .. 'r:' .. queue .. ':0', id)
call('HINCRBY', P .. 'n', number .. 'r', 1)
if call('RPUSH', P .. 'b:' .. queue, '1') > 64 then call('LTRIM', P .. 'b:' .. queue, 0, 63) end
return 1

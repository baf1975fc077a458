-- Sets a key's default or operator's limit, or takes it away. In: key, d(efault) or o(verride), 'tokens per burst' or '',
-- then the task's name if it is a task's key: 1 and the name, or 0. Keys: m:<key>, lm, lk, hl:<key>, d, b:. Answer: 1.
--#include drain
--#include held
local key, field, spec = arg(), arg(), maybe()
local name = bytes()
local state = P .. 'm:' .. key
if spec then call('HSET', state, field, spec) else call('HDEL', state, field) end
local v = call('HMGET', state, 'o', 'd', 't', 'h')
local count, per, burst = string.match(v[1] or v[2] or '', '^(%d+) (%d+) (%d+)$')
local every = 0
if count and count ~= '0' then every = math.ceil(tonumber(per) / tonumber(count)) end
local tat, forgotten = tonumber(v[3] or nil) or 0, not (v[1] or v[2])
if every > 0 then tat = math.min(tat, now + tonumber(burst) * every) end
if forgotten or tat == 0 then call('HDEL', state, 't') else call('HSET', state, 't', int(tat)) end
if not forgotten then
  call('SADD', P .. 'lk', key)
elseif not v[4] then
  call('SREM', P .. 'lk', key)
end
if name then
  local n = intern('n', name)
  if every > 0 then
    call('HSET', P .. 'lm', n, int(every) .. ' ' .. burst)
  else
    call('HDEL', P .. 'lm', n)
  end
  if v[4] then
    call('ZADD', P .. 'd', every > 0 and int(tat - (tonumber(burst) - 1) * every) or now, key_entry(n))
    ring_held_back(n)
  end
end
close_books()
return 1

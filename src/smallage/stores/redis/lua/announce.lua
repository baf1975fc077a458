-- Starts or updates a session; its lease begins now. In: known epoch, session, lease, info, inbox, names and queues (each
-- joined by NUL). Keys: c, l, h:<session>, lc, nc. Answer: the epoch if it is not the known one, nil if there is none.
--#include epoch
--#include reached
--#include sessions
local epoch = check_epoch()
if not epoch then return false end
local session, lease, info, inbox, names, queues = arg(), number(), arg(), arg(), arg(), arg()
local key = P .. 'h:' .. session
local old = call('HMGET', key, 'L', 'm')
call('HSET', key, 'L', lease, 'I', info, 'i', inbox, 'm', names, 'Q', queues)
reached()
call('ZADD', P .. 'l', now + lease, session)
call('HINCRBY', P .. 'lc', lease, 1)
for name in names_in(names) do call('HINCRBY', P .. 'nc', name, 1) end
if old[1] then uncount(old) end
return epoch

-- Leaves a node's answer under a ticket. In: ticket, node, answer. Keys: an:<ticket>, for a minute by both clocks. Answer: 1.
--#include drain
--#include books
local ticket, node, data = arg(), arg(), arg()
local key = P .. 'an:' .. ticket
local at_last = tonumber(call('HGET', key, '@') or nil)
if at_last and at_last + 60000000 <= now then call('UNLINK', key) end
call('HSET', key, 'n' .. node, data, '@', now)
call('PEXPIRE', key, 60000)
tell(ticket)
close_books()
return 1

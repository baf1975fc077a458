-- No claims from a queue, or claims again. In: queue, 1 or 0. Keys: q:<queue>, b:<queue>.
--#include drain
--#include order
local queue, on = arg(), arg() == '1'
queue_number(queue)
if on then
  call('HSET', P .. 'q:' .. queue, 'z', '1')
else
  call('HDEL', P .. 'q:' .. queue, 'z')
  ring(queue, 64)
end
close_books()
return 1

-- Takes the orders of an inbox; they stay in a second list until the reader says that they have arrived. In: inbox.
-- Keys: i:<inbox>, i:<inbox>:. Answer: the orders, those of a reader that broke off first.
--#include drain
local inbox = P .. 'i:' .. arg()
local taken = inbox .. ':'
for _ = 1, 500 do
  if not call('LMOVE', inbox, taken, 'LEFT', 'RIGHT') then break end
end
return call('LRANGE', taken, 0, -1)

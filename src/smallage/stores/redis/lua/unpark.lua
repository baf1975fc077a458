-- Sends parked tasks back to their queues, up to 200 a call. In: number of names (0: all), names. Keys: pn, pn:, t:, r:.
-- Answer: {how many, 1 if there is more}.
--#include drain
--#include unparking
local names = {}
for i = 1, number() do names[i] = arg() end
if not names[1] then names = call('SMEMBERS', P .. 'pn') end
table.sort(names)
local n = 0
for _, name in ipairs(names) do
  if n < 200 then n = n + unpark(name, 200 - n) end
end
save_groups()
close_books()
return { n, n >= 200 and 1 or 0 }

-- Ends or moves claims, then claims next. In: number of settlements, settlements (include/settling.lua), 1 and the
-- arguments of claim, or 0. Keys: those of claim, and f:, ts, x, p:, y:, u:, pn:, nc, c. Answer: {a letter for each
-- settlement, o(k) d(up) s(tale), claimed}.
--#include drain
--#include settling
local answer = {}
for i = 1, number() do answer[i] = settle_one() end
flush_ends()
if arg() == '1' then return { table.concat(answer), claim() } end
save_groups()
close_books()
return { table.concat(answer), { now_text } }

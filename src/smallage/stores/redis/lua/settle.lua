-- Ends or moves claims, then claims next. In: number of settlements, settlements (include/settling.lua), 1 and the
-- arguments of claim, or 0. Keys: those of claim, and f:, ts, x, p:, y:, u:, pn:, nc, c. Answer: {a letter for each
-- settlement, o(k) d(up) s(tale), claimed}.
local first, n = 3, tonumber(ARGV[2])
--#include short
if answer then return { string.rep('o', n), answer } end
--#include drain
--#include settling
local letters = {}
for i = 1, number() do letters[i] = settle_one() end
flush_ends()
if arg() == '1' then return { table.concat(letters), claim() } end
save_groups()
close_books()
return { table.concat(letters), { now_text } }

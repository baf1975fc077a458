-- Cancels tasks. In: 1 to stop running ones too, ids. Keys: those of settle, i:<inbox>. Answer: a letter for each,
-- c(ancelled) r(unning) e(nded) u(nknown).
--#include drain
--#include revoking
local terminate = arg() == '1'
local answer = {}
while at < #ARGV do answer[#answer + 1] = revoke_one(arg(), terminate) end
flush_drops()
save_groups()
close_books()
return table.concat(answer)

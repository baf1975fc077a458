-- Runs ended tasks again. In: ids. Keys: those of settle. Answer: 1 or 0 for each, as letters.
--#include drain
--#include reviving
local answer = {}
while at < #ARGV do
  local r = find(arg())
  answer[#answer + 1] = r and ENDED[r.state] and revive(r) and '1' or '0'
end
save_groups()
close_books()
return table.concat(answer)
